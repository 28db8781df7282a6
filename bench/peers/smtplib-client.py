"""Sends mails by smtplib: ADDRESS MAILS OCTETS RECIPIENTS [TRUST]; says how long it took from connect to quit."""

import smtplib
import ssl
import sys
import time

host, port = sys.argv[1].rsplit(":", 1)
mails, octets, recipients = map(int, sys.argv[2:5])
text = b"From: alice@example.org\r\nTo: bob@example.net\r\nSubject: a measurement\r\n\r\n"
line = b"The quick brown fox jumps over the lazy dog, and nobody knows why; 0123456789.\r\n"
text += line * ((octets - len(text)) // len(line))
to = [f"user{index}@example.net" for index in range(recipients)]

begin = time.monotonic()
secure = len(sys.argv) > 5
client = smtplib.SMTP("localhost" if secure else host, int(port), local_hostname="client.example.org")
if secure:
    client.starttls(context=ssl.create_default_context(cafile=sys.argv[5]))
    client.login("alice", "correct horse")
for _ in range(mails):
    client.sendmail("alice@example.org", to, text)
client.quit()
print(f"seconds {time.monotonic() - begin:.6f}")
