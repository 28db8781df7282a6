"""aiosmtpd.py SETTINGS: servers made of the package aiosmtpd, one a listener, which do as the settings say and store what they
take as files."""

import asyncio
import json
import ssl
import sys
import uuid
from pathlib import Path

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, AuthResult

settings = json.loads(Path(sys.argv[1]).read_text())


def fault(address, step):
    """What is to become of an address of this kind at this step."""
    kind = address.split("-")[0]
    for each in settings["faults"]:
        if each["kind"] == kind and each["step"] == step:
            return f"{each['code']} {each['text']}"
    return None


def is_known(address):
    kind = address.split("-")[0]
    known = kind == "ok" or any(each["kind"] == kind for each in settings["faults"])
    return known and address.endswith("@" + settings["host"])


def store(envelope, recipient):
    """Complete or not there at all, under whatever name it is looked for."""
    name = str(uuid.uuid4())
    folder = Path(settings["store"])
    head = [
        f"Return-Path: <{envelope.mail_from}>",
        f"X-Original-To: {recipient}",
        f"X-Parameters: {' '.join(envelope.mail_options)}",
    ]
    text = "".join(line + "\r\n" for line in head).encode() + envelope.original_content
    (folder / "tmp" / name).write_bytes(text)
    (folder / "tmp" / name).rename(folder / "new" / name)


def authenticate(server, session, envelope, mechanism, data):
    right = (data.login.decode(), data.password.decode()) == (settings["user"], settings["password"])
    return AuthResult(success=right, handled=False)


class Handler:
    def __init__(self, listener):
        self.bare = listener == "Bare"
        self.most = settings["few"] if listener == "Few" else None

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        return [f"250 {settings['host']}"] if self.bare else responses

    async def handle_MAIL(self, server, session, envelope, address, options):
        refused = fault(address, "Mail")
        if refused:
            return refused
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Sender accepted"

    async def handle_RCPT(self, server, session, envelope, address, options):
        refused = fault(address, "Rcpt")
        if refused:
            return refused
        if not is_known(address):
            return "550 5.1.1 No such user"
        if self.most is not None and len(envelope.rcpt_tos) >= self.most:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Recipient accepted"

    async def handle_DATA(self, server, session, envelope):
        by_recipient = isinstance(server, LMTP)
        replies = []
        for recipient in envelope.rcpt_tos:
            reply = fault(envelope.mail_from, "EndOfData")
            if not reply and by_recipient:
                reply = fault(recipient, "EndOfData")
            if not reply:
                store(envelope, recipient)
                reply = "250 2.0.0 Stored"
            replies.append(reply)
        # What is returned is sent as it is.
        return "\r\n".join(replies if by_recipient else replies[:1])


class AtData:
    """There is no hook at DATA."""

    async def smtp_DATA(self, arg):
        refused = self.envelope.rcpt_tos and fault(self.envelope.mail_from, "Data")
        if refused:
            await self.push(refused)
        else:
            await super().smtp_DATA(arg)


class Broken:
    async def smtp_STARTTLS(self, arg):
        await self.push("454 4.7.0 TLS not available")


base = LMTP if settings["lmtp"] else SMTP
Usual = type("Usual", (AtData, base), {})
WithoutTls = type("WithoutTls", (Broken, AtData, base), {})


async def listen(listener):
    name = listener["name"]
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(listener["chain"], listener["key"])
    if name == "Old":
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    options = {
        "hostname": settings["host"],
        "data_size_limit": listener["size"],
        "enable_SMTPUTF8": True,
        "authenticator": authenticate,
    }
    if name not in ("Submission", "Implicit"):
        options["auth_exclude_mechanism"] = ["PLAIN", "LOGIN"]
    if name == "Implicit":
        options["auth_require_tls"] = False
    elif name != "Bare":
        options["tls_context"] = context
    kind = WithoutTls if name == "Broken" else Usual
    await asyncio.get_running_loop().create_server(
        lambda: kind(Handler(name), **options),
        "127.0.0.1",
        listener["port"],
        ssl=context if name == "Implicit" else None,
    )


async def main():
    for listener in settings["listeners"]:
        await listen(listener)
    await asyncio.Event().wait()


asyncio.run(main())
