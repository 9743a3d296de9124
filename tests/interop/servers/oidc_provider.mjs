// A provider for the tests, by the package oidc-provider: node oidc_provider.mjs PORT SETTINGS
// SETTINGS is JSON: clients. POST /test/rotate replaces the key that signs; the old one stays
// published unless the query says forget=1. Its pages for people are those of the package.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { generateKeyPairSync } from 'node:crypto';
import http from 'node:http';

const require = createRequire(process.env.FRIENDSERVE_NODE + '/');
const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')).href);

const [port, settings] = [Number(process.argv[2]), JSON.parse(process.argv[3])];
let count = 0;
function makeKey(alg) {
  const options = { RS256: ['rsa', { modulusLength: 2048 }], ES256: ['ec', { namedCurve: 'P-256' }] };
  const { privateKey } = generateKeyPairSync(...options[alg]);
  count += 1;
  return { ...privateKey.export({ format: 'jwk' }), kid: `key${count}`, use: 'sig', alg };
}

let keys = [makeKey('RS256'), makeKey('ES256')];
// Accounts, sessions and grants outlive a rotation: they are in the adapter, not in the provider.
const stored = new Map();
class Adapter {
  constructor(model) { this.model = model; }
  at(id) { return `${this.model}:${id}`; }
  async upsert(id, payload) { stored.set(this.at(id), payload); }
  async find(id) { return stored.get(this.at(id)); }
  async findByUid(uid) {
    return [...stored].find(([at, one]) => at.startsWith(`${this.model}:`) && one.uid === uid)?.[1];
  }
  async findByUserCode() { return undefined; }
  async consume(id) { stored.get(this.at(id)).consumed = Math.floor(Date.now() / 1000); }
  async destroy(id) { stored.delete(this.at(id)); }
  async revokeByGrantId(grantId) {
    for (const [at, one] of stored) if (one.grantId === grantId) stored.delete(at);
  }
}

function makeProvider() {
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    adapter: Adapter,
    clients: settings.clients,
    jwks: { keys },
    cookies: { keys: ['a key of the tests'] },
    claims: { openid: ['sub', 'sid'], email: ['email', 'email_verified'], profile: ['name'] },
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256', 'PS256'] },
    features: { backchannelLogout: { enabled: true }, devInteractions: { enabled: true } },
    // Its dispatcher refuses the addresses of this machine, where the tests are.
    fetch: (url, { dispatcher, ...options }) => fetch(url, options),
    issueRefreshToken: async () => true,
    rotateRefreshToken: true,
    findAccount: (context, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: true, name: id }),
    }),
  });
  provider.on('backchannel.error', (context, error) => console.error(error));
  provider.on('server_error', (context, error) => console.error(error));
  return provider;
}

let handle = makeProvider().callback();
http.createServer((request, response) => {
  if (request.method === 'POST' && request.url.startsWith('/test/rotate')) {
    const made = [makeKey('RS256'), makeKey('ES256')];
    keys = request.url.includes('forget=1') ? made : [...made, ...keys];
    handle = makeProvider().callback();
    response.end('rotated');
  } else {
    handle(request, response);
  }
}).listen(port, '127.0.0.1');
