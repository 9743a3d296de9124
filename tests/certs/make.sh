#!/bin/sh
# Makes the certificates of the tests anew.  ca.crt is the CA, whose key is thrown away; server.crt
# is for localhost, 127.0.0.1 and ::1, and good for 100 years.  All the others have the same key,
# server.key: wronghost.crt and wildcards.crt are for other names, expired.crt was good in 2010,
# selfsigned.crt knows no CA.
# Run it by hand with OpenSSL 3; the results are committed, no test runs it.
set -e
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36520 \
    -subj "/CN=friendserve test CA" -keyout "$work/ca.key" -out ca.crt \
    -addext "keyUsage=critical,keyCertSign,cRLSign"

# sign NAME SUBJECT SAN OPTION...: NAME.crt, signed by the CA, for the key of the server.
sign() {
    name=$1 subject=$2 san=$3
    shift 3
    openssl req -new -key server.key -subj "$subject" -out "$work/$name.csr"
    cat > "$work/$name.ext" <<END
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth,clientAuth
subjectAltName=$san
authorityKeyIdentifier=keyid
subjectKeyIdentifier=hash
END
    openssl x509 -req -in "$work/$name.csr" -CA ca.crt -CAkey "$work/ca.key" -CAcreateserial \
        -CAserial "$work/serial" -extfile "$work/$name.ext" -out "$name.crt" "$@"
}

openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out server.key
sign server /CN=localhost DNS:localhost,IP:127.0.0.1,IP:::1 -days 36520
sign wronghost /CN=elsewhere.test DNS:elsewhere.test -days 36520
# More than one wildcard, and one that is not a whole label's beginning.
sign wildcards "/CN=*.*.test" "DNS:*.*.test,DNS:*.*.*.*.*.*.*.*.test,DNS:*a*a*a*a*b.test" -days 36520
# In the past: OpenSSL 3.0 signs no such certificate but by way of its own little CA.
openssl req -new -key server.key -subj /CN=localhost -out "$work/expired.csr"
: > "$work/index" && echo 01 > "$work/expired.serial"
cat > "$work/ca.cnf" <<END
[ca]
default_ca=small
[small]
database=$work/index
serial=$work/expired.serial
new_certs_dir=$work
default_md=sha256
policy=any
x509_extensions=server
[any]
commonName=supplied
[server]
basicConstraints=critical,CA:FALSE
subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1
END
openssl ca -batch -notext -config "$work/ca.cnf" -in "$work/expired.csr" -out expired.crt \
    -cert ca.crt -keyfile "$work/ca.key" -startdate 20100101000000Z -enddate 20110101000000Z
openssl req -x509 -key server.key -days 36520 -subj /CN=localhost -out selfsigned.crt \
    -addext "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"
