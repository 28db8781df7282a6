// node nodemailer-client.cjs ADDRESS MESSAGES BYTES RECIPIENTS: 32 callers over 3 connections.
const nodemailer = require('nodemailer');

const [address, count, bytes, recipients] = process.argv.slice(2);
const [host, port] = [address.slice(0, address.lastIndexOf(':')), address.slice(address.lastIndexOf(':') + 1)];
const header = 'From: alice@example.org\r\nTo: bob@example.net\r\nSubject: a measurement\r\n\r\n';
const line = 'The quick brown fox jumps over the lazy dog, and no one knows why; 0123456789.\r\n';
const raw = header + line.repeat(Math.max(0, Math.floor((bytes - header.length) / line.length)));
const to = Array.from({ length: Number(recipients) }, (_, index) => `user${index}@example.net`);

async function main() {
    const begin = process.hrtime.bigint();
    const transport = nodemailer.createTransport({
        pool: true, maxConnections: 3, maxMessages: Infinity,
        host, port: Number(port), secure: false, ignoreTLS: true, name: 'client.example.org',
    });
    let next = 0;
    const caller = async () => {
        while (next++ < Number(count)) {
            await transport.sendMail({ envelope: { from: 'alice@example.org', to }, raw });
        }
    };
    await Promise.all(Array.from({ length: 32 }, caller));
    transport.close();
    console.log('seconds', Number(process.hrtime.bigint() - begin) / 1e9);
}

main().catch((error) => { console.error(String(error)); process.exit(1); });
