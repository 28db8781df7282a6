use std::borrow::Cow;
use std::net::TcpStream;

use io_smtp::client::{SmtpClient, SmtpClientStd};
use io_smtp::message::SmtpMessageSendOptions;
use io_smtp::rfc5321::{
    SmtpDomain, SmtpEhloDomain, SmtpForwardPath, SmtpLocalPart, SmtpMailbox, SmtpReversePath,
};

use crate::{FROM, Job, NAME, Result};

pub(super) fn run(job: &Job) -> Result<()> {
    if job.trust.is_some() {
        return Err("is measured in cleartext only".into());
    }
    let mut client = SmtpClientStd::new(TcpStream::connect(job.address)?);
    client.greeting()?;
    client.ehlo(domain(NAME))?;
    let from = SmtpReversePath::SmtpMailbox(mailbox(FROM)?);
    let to = job
        .to()
        .into_iter()
        .map(|to| Ok(SmtpForwardPath(mailbox(&to)?)));
    let to = to.collect::<Result<Vec<_>>>()?;
    let text = job.text();
    for _ in 0..job.mails {
        let options = SmtpMessageSendOptions::default();
        client.send(from.clone(), to.clone(), text.clone(), options)?;
    }
    client.quit()?;
    Ok(())
}

fn mailbox(address: &str) -> Result<SmtpMailbox<'static>> {
    let (local, host) = address.split_once('@').ok_or("no address")?;
    Ok(SmtpMailbox {
        local_part: SmtpLocalPart(Cow::Owned(local.into())),
        domain: domain(host),
    })
}

fn domain(name: &str) -> SmtpEhloDomain<'static> {
    SmtpEhloDomain::SmtpDomain(SmtpDomain(Cow::Owned(name.into())))
}
