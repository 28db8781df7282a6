// A plugin of Haraka's that does as the settings say, and stores what it takes as files. One lies in the folder of each
// process, whose listeners are told apart by their ports.
'use strict'

const { randomUUID } = require('node:crypto')
const { readFileSync, renameSync, writeFileSync } = require('node:fs')
const path = require('node:path')

const settings = JSON.parse(readFileSync(path.join(__dirname, '..', 'settings.json')))

// The code of a reply is what an object of this very name says.
class DSN {
  constructor ({ code, text }) {
    this.code = code
    this.reply = text
  }
}

function textOf (address) {
  return typeof address.address === 'function' ? address.address() : address.address
}

// Answers as an address of this kind wants it at this step, or else as it is usual.
function judge (address, step, next, otherwise) {
  const kind = textOf(address).split('-')[0]
  const fault = settings.faults.find(each => each.kind === kind && each.step === step)
  if (!fault) return otherwise()
  const verdict = fault.code === 421 ? DENYSOFTDISCONNECT : fault.code < 500 ? DENYSOFT : DENY
  next(verdict, new DSN(fault))
}

function isAt (connection, name) {
  return settings.listeners.some(listener => listener.name === name && listener.port === connection.local.port)
}

exports.register = function () {
  this.register_hook('lookup_rdns', 'nameClient')
  // Behind the plugins that offer something.
  this.register_hook('capabilities', 'limitCapabilities', 100)
  // In front of the one that does it.
  this.register_hook('unrecognized_command', 'breakStartTls', -100)
  this.register_hook('mail', 'atMail')
  this.register_hook('rcpt', 'atRcpt')
  this.register_hook('data', 'atData')
  this.register_hook('data_post', 'atEndOfData')
  // The one for mail from those who have logged in, the other for all else.
  this.register_hook('queue', 'store')
  this.register_hook('queue_outbound', 'store')
}

// There is nobody to ask.
exports.nameClient = (next) => next(OK, 'localhost')

exports.limitCapabilities = function (next, connection) {
  const mayLogIn = isAt(connection, 'Submission') || isAt(connection, 'Implicit')
  if (isAt(connection, 'Bare')) {
    connection.capabilities.length = 1
  } else if (!mayLogIn) {
    connection.capabilities = connection.capabilities.filter(line => !line.startsWith('AUTH'))
  }
  next()
}

exports.breakStartTls = function (next, connection, [verb]) {
  if (verb.toUpperCase() !== 'STARTTLS' || !isAt(connection, 'Broken')) return next()
  connection.respond(454, 'TLS not available', () => next(OK))
}

exports.atMail = (next, connection, [sender]) => judge(sender, 'Mail', next, next)

exports.atRcpt = (next, connection, [recipient]) => judge(recipient, 'Rcpt', next, () => {
  const { rcpt_to: known } = connection.transaction
  // This one is among them already.
  if (isAt(connection, 'Few') && known.length > settings.few) {
    return next(DENYSOFT, new DSN({ code: 452, text: '4.5.3 Too many recipients' }))
  }
  next(textOf(recipient).startsWith('ok-') ? OK : DENY)
})

exports.atData = (next, connection) => judge(connection.transaction.mail_from, 'Data', next, next)

exports.atEndOfData = (next, connection) => judge(connection.transaction.mail_from, 'EndOfData', next, next)

exports.store = function (next, connection) {
  const { mail_from: sender, rcpt_to: recipients, message_stream: stream } = connection.transaction
  stream.get_data(text => {
    for (const recipient of recipients) {
      const name = randomUUID()
      const head = `Return-Path: <${textOf(sender)}>\r\nX-Original-To: ${textOf(recipient)}\r\n`
      const file = path.join(settings.store, 'tmp', name)
      // Complete or not there at all, under whatever name it is looked for.
      writeFileSync(file, Buffer.concat([Buffer.from(head), text]))
      renameSync(file, path.join(settings.store, 'new', name))
    }
    next(OK, 'Stored')
  })
}
