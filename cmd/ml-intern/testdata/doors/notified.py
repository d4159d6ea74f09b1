# The other sides of notifications, by the libraries that people have there: a
# mail server (aiosmtpd) that wants TLS and a login, and a receiver of webhooks
# (standardwebhooks). Prints its ports, then each thing that it took, as JSON.
import email, email.policy, json, ssl, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, SMTP
from standardwebhooks import Webhook

cert, key, secret = sys.argv[1:]


def say(**what):
    print(json.dumps(what), flush=True)


class Mailbox:
    async def handle_DATA(self, server, session, envelope):
        m = email.message_from_bytes(envelope.content, policy=email.policy.default)
        say(mail=m.get_content(), subject=m["Subject"], id=m["Message-ID"], to=envelope.rcpt_tos,
            tls=session.ssl is not None, defects=[str(d) for d in m.defects])
        return "250 fine"


class Mail(Controller):
    def factory(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        login = lambda *a: AuthResult(success=a[-1].login == b"me" and a[-1].password == b"mail-password-1")
        return SMTP(self.handler, tls_context=context, require_starttls=True, auth_required=True, authenticator=login)


class Hook(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            say(hook=Webhook(secret).verify(body, {k.lower(): v for k, v in self.headers.items()}))
            self.send_response(204)
        except Exception as e:
            say(refused=repr(e))
            self.send_response(400)
        self.end_headers()

    def log_message(self, *_):
        pass


mail = Mail(Mailbox(), hostname="127.0.0.1", port=0)
# aiosmtpd tries its own port, which 0 is not: find a free one
import socket
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    mail.port = s.getsockname()[1]
mail.start()
hook = HTTPServer(("127.0.0.1", 0), Hook)
say(mail=mail.port, hook=hook.server_port)
hook.serve_forever()
