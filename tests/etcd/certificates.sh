#!/usr/bin/env bash
# Makes two CAs, and certificates of the first one, in the directory $1: server (127.0.0.1),
# elsewhere (another host), future (not valid before
# 2099), client, expired, named (with the common name of a user); stranger is
# of the second CA. NAME.pem is a certificate, NAME.key its key.
set -euo pipefail
cd "$1"

authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/O=$1" -keyout "$1.key" -out "$1.pem"
}

# NAME CA SUBJECT DAYS HOST
certificate() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$3" -keyout "$1.key" -out "$1.csr"
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days "$4" -out "$1.pem" \
    -extfile <(echo "subjectAltName=$5")
}

authority ca
authority other-ca
certificate server ca /O=server 30 IP:127.0.0.1
certificate elsewhere ca /O=server 30 DNS:elsewhere.example
certificate client ca /O=client 30 DNS:client
certificate expired ca /O=client -1 DNS:client
certificate named ca /CN=ci 30 DNS:client
certificate future ca /O=server 30 IP:127.0.0.1
touch index.txt
openssl ca -batch -notext -startdate 20990101000000Z -enddate 20991231000000Z -in future.csr -out future.pem \
  -cert ca.pem -keyfile ca.key -extfile <(echo subjectAltName=IP:127.0.0.1) -config <(
    printf '%s\n' '[ca]' default_ca=own '[own]' database=index.txt rand_serial=yes new_certs_dir=. default_md=sha256 \
      policy=any '[any]' organizationName=supplied
  )
certificate stranger other-ca /O=client 30 DNS:client
