#!/bin/sh
# Makes the certificates of the tests anew: ca.crt, server.crt and server.key, for localhost,
# 127.0.0.1 and ::1, good for 100 years.  The key of the CA is thrown away.
# Run it by hand with OpenSSL 3; the results are committed, no test runs it.
set -e
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36520 \
    -subj "/CN=friendserve test CA" -keyout "$work/ca.key" -out ca.crt \
    -addext "keyUsage=critical,keyCertSign,cRLSign"

openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
    -subj "/CN=localhost" -keyout server.key -out "$work/server.csr"

cat > "$work/server.ext" <<END
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth,clientAuth
subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1
authorityKeyIdentifier=keyid
subjectKeyIdentifier=hash
END
openssl x509 -req -in "$work/server.csr" -CA ca.crt -CAkey "$work/ca.key" -CAcreateserial \
    -CAserial "$work/serial" -days 36520 -extfile "$work/server.ext" -out server.crt
