"""A mail server for tests (aiosmtpd): it wants a login, refuses some mailboxes, and shows what it took over HTTP."""

import http.server
import json
import sys
import threading
import time

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

taken = []
turned_away = set()


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address.startswith("nobody@"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        text = envelope.content.decode()
        # as a server with grey-listing does: each message comes in vain once
        key = (text.split("Message-ID: ")[1].split("\r\n")[0], envelope.rcpt_tos[0])
        if envelope.rcpt_tos[0].startswith("busy@") and key not in turned_away:
            turned_away.add(key)
            return "451 4.7.1 try later"
        taken.append({"from": envelope.mail_from, "to": envelope.rcpt_tos, "message": text})
        return "250 OK"


def authenticator(server, session, envelope, mechanism, auth_data):
    is_known = isinstance(auth_data, LoginPassword) and auth_data == LoginPassword(b"shop", b"hush")
    return AuthResult(success=is_known)


class Mailbox(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(taken).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


smtp, http_port = int(sys.argv[1]), int(sys.argv[2])
options = {"authenticator": authenticator, "auth_required": True, "auth_require_tls": False}
Controller(Handler(), hostname="127.0.0.1", port=smtp, **options).start()
threading.Thread(target=http.server.HTTPServer(("127.0.0.1", http_port), Mailbox).serve_forever, daemon=True).start()
time.sleep(1e9)
