# A mail server whose answers a test decides, by the recipient or by arguments.
# It writes each accepted mail to standard output, as a line of JSON.
#
#   server.py PORT [--starttls CERT] [--tls CERT] [--require-tls] [--auth] [--busy]
#
# Recipients: 451@… and 452@… get a temporary error, 550@… is refused, slow@… is accepted and
# the answer comes 2 s late, data550@… is refused after the data.
import argparse, asyncio, hmac, json, ssl, sys
from base64 import b64decode, b64encode
from aiosmtpd.smtp import SMTP, AuthResult, MISSING

parser = argparse.ArgumentParser()
parser.add_argument("port", type=int)
for flag in ("--starttls", "--tls"):
    parser.add_argument(flag)
for flag in ("--require-tls", "--auth", "--busy"):
    parser.add_argument(flag, action="store_true")
args = parser.parse_args()

USER, PASSWORD = b"kyu", b"s3cret pass"


class Handler:
    def __init__(self):
        self.late = set()

    async def handle_RCPT(self, server, session, envelope, address, options):
        code = address.split("@")[0]
        if code in ("451", "452", "550"):
            return code + " not this one"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if any(r.startswith("data550@") for r in envelope.rcpt_tos):
            return "550 no such content"
        print(json.dumps({
            "from": envelope.mail_from, "to": envelope.rcpt_tos, "data": envelope.content.decode("utf-8", "replace"),
            "tls": session.ssl is not None or bool(args.tls), "login": session.authenticated and str(session.auth_data),
        }), flush=True)
        if any(r.startswith("slow@") for r in envelope.rcpt_tos):
            await asyncio.sleep(2)
        return "250 OK"

    async def auth_CRAM__MD5(self, server, words):
        challenge = b"<1.2@test>"
        await server.push("334 " + b64encode(challenge).decode())
        line = await server._reader.readline()
        name, digest = b64decode(line.strip()).rsplit(b" ", 1)
        good = hmac.new(PASSWORD, challenge, "md5").hexdigest().encode()
        good = name == USER and digest == good
        return AuthResult(success=good, handled=good, auth_data="cram")


def check(server, session, envelope, mechanism, data):
    good = getattr(data, "login", None) == USER and getattr(data, "password", None) == PASSWORD
    return AuthResult(success=good, handled=good, auth_data=mechanism)


class Busy(asyncio.Protocol):
    def connection_made(self, transport):
        transport.write(b"421 come back later\r\n")
        transport.close()


def context(path):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(path)
    return c


def factory():
    if args.busy:
        return Busy()
    return SMTP(Handler(), hostname="mail.test", enable_SMTPUTF8=True,
                tls_context=context(args.starttls) if args.starttls else None, require_starttls=args.require_tls,
                authenticator=check if args.auth else None, auth_required=args.auth, auth_require_tls=False)


async def main():
    server = await asyncio.get_running_loop().create_server(
        factory, "127.0.0.1", args.port, ssl=context(args.tls) if args.tls else None)
    async with server:
        await server.serve_forever()

asyncio.run(main())
