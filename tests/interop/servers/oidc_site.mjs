// A certified OpenID Connect provider, as a process: node oidc_site.mjs PORT SITE
// MODULES is the folder in which `npm install oidc-provider` was run.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(process.env.MODULES + "/");
const { default: Provider } = await import(pathToFileURL(require.resolve("oidc-provider")));

const [port, site] = process.argv.slice(2);

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: "site", client_secret: "site secret",
    grant_types: ["authorization_code", "refresh_token"],
    redirect_uris: [`${site}/in`], post_logout_redirect_uris: [`${site}/bye`],
    backchannel_logout_uri: `${site}/backchannel`, backchannel_logout_session_required: true,
  }],
  claims: { email: ["email", "email_verified"], profile: ["name"] },
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({
      sub: id, name: `Name of ${id}`, email: `${id}@example.com`, email_verified: true,
    }),
  }),
  features: {
    devInteractions: { enabled: true },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: { enabled: true },
  },
  issueRefreshToken: async () => true,
  rotateRefreshToken: true,
  cookies: { keys: ["a key for tests"] },
  // By default it sends nothing to an address of loopback, where the site of the test is.
  fetch(url, options) {
    delete options.dispatcher;
    return globalThis.fetch(url, options);
  },
});
provider.listen(Number(port), "127.0.0.1");
provider.on("backchannel.error", (ctx, error) => console.error("back-channel:", error));
