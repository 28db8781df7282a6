# read_back.py PORT-OF-IMAP PORT-OF-POP3 AUTHORITY NAME USER PASSWORD FOLDER: reads a mailbox by IMAP and by POP3, both after
# STARTTLS, writes each mail to FOLDER/imap-N and FOLDER/pop3-N, and beside it what its parts are, and then empties the mailbox.
import email
import email.policy
import hashlib
import imaplib
import pathlib
import poplib
import ssl
import sys

imap_port, pop3_port, authority, name, user, password, folder = sys.argv[1:]
folder = pathlib.Path(folder)


class Context(ssl.SSLContext):
    """Expects the server's name, whatever address was connected to."""

    def wrap_socket(self, *args, server_hostname=None, **more):
        return super().wrap_socket(*args, server_hostname=name, **more)


def context():
    made = Context(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(authority)
    return made


def keep(protocol, number, octets):
    path = folder / f"{protocol}-{number}"
    path.write_bytes(octets)
    mail = email.message_from_bytes(octets, policy=email.policy.default)
    with open(f"{path}.parts", "w", encoding="utf-8") as out:
        for field in ("subject", "from", "to"):
            print(f"{field}: {mail[field]}", file=out)
        for part in mail.walk():
            if part.is_multipart():
                print(part.get_content_type(), file=out)
                continue
            payload = part.get_payload(decode=True)
            if part.get_content_maintype() == "text":
                payload = payload.replace(b"\r\n", b"\n")
            digest = hashlib.sha256(payload).hexdigest()
            print(part.get_content_type(), part.get_filename(), part["content-id"], digest, file=out)


imap = imaplib.IMAP4("127.0.0.1", int(imap_port), timeout=30)
imap.starttls(context())
imap.login(user, password)
_, [count] = imap.select("INBOX")
for number in range(1, int(count) + 1):
    _, [(_, octets), *_] = imap.fetch(str(number), "(BODY.PEEK[])")
    keep("imap", number, octets)
imap.close()
imap.logout()

pop3 = poplib.POP3("127.0.0.1", int(pop3_port), timeout=30)
pop3.stls(context())
pop3.user(user)
pop3.pass_(password)
for number in range(1, pop3.stat()[0] + 1):
    _, lines, _ = pop3.retr(number)
    keep("pop3", number, b"".join(line + b"\r\n" for line in lines))
    pop3.dele(number)
pop3.quit()
