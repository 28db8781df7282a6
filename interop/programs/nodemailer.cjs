// nodemailer.cjs SETTINGS PACKAGES: servers made of the package `smtp-server`, one a listener, which do as the settings say and
// store what they take as files.
'use strict'

const { createHmac, randomUUID, timingSafeEqual } = require('node:crypto')
const { readFileSync, renameSync, writeFileSync } = require('node:fs')
const { createRequire } = require('node:module')
const path = require('node:path')

const [settingsFile, packages] = process.argv.slice(2)
const settings = JSON.parse(readFileSync(settingsFile))
const load = createRequire(path.join(packages, 'node_modules', 'index.js'))
const { SMTPServer } = load('smtp-server')
const { SMTPConnection } = load('smtp-server/lib/smtp-connection.js')

function refusal (code, text) {
  return Object.assign(new Error(text), { responseCode: code })
}

// What is to become of an address of this kind at this step.
function fault (address, step) {
  const kind = address.split('-')[0]
  const found = settings.faults.find(each => each.kind === kind && each.step === step)
  return found && refusal(found.code, found.text)
}

function isKnown (address) {
  const kind = address.split('-')[0]
  return address.endsWith('@' + settings.host) && (kind === 'ok' || settings.faults.some(each => each.kind === kind))
}

// Complete or not there at all, under whatever name it is looked for.
function store (session, recipient, text) {
  const name = randomUUID()
  const { mailFrom } = session.envelope
  const parameters = [mailFrom, recipient].flatMap(({ args }) => Object.entries(args || {}))
  const head = [
    `Return-Path: <${mailFrom.address}>`,
    `X-Original-To: ${recipient.address}`,
    `X-Parameters: ${parameters.map(([name, value]) => value === true ? name : `${name}=${value}`).join(' ')}`
  ]
  const file = path.join(settings.store, 'tmp', name)
  writeFileSync(file, Buffer.concat([Buffer.from(head.map(line => line + '\r\n').join('')), text]))
  renameSync(file, path.join(settings.store, 'new', name))
}

function isGenuine (token, user) {
  const [head, body, signature] = token.split('.')
  if (!signature) return false
  const right = createHmac('sha256', Buffer.from(settings.tokenKey, 'base64')).update(`${head}.${body}`).digest()
  const given = Buffer.from(signature, 'base64url')
  const { sub } = JSON.parse(Buffer.from(body, 'base64url'))
  return given.length === right.length && timingSafeEqual(given, right) && [sub, `${sub}@${settings.host}`].includes(user)
}

function onAuth (auth, session, done) {
  const login = settings.logins.find(each => auth.username === `${each.user}@${settings.host}`)
  if (login) return done(refusal(login.code, login.text))
  if (auth.method === 'XOAUTH2') {
    if (isGenuine(auth.accessToken, auth.username)) return done(null, { user: auth.username })
    return done(null, { data: { status: '401', schemes: 'bearer' } })
  }
  const right = auth.method === 'CRAM-MD5' ? auth.validatePassword(settings.password) : auth.password === settings.password
  if (right && auth.username === settings.user) return done(null, { user: auth.username })
  done(refusal(535, '5.7.8 Wrong user or password'))
}

function onMailFrom (address, session, done) {
  done(fault(address.address, 'Mail'))
}

function onRcptTo (address, session, done) {
  done(fault(address.address, 'Rcpt') || (isKnown(address.address) ? null : refusal(550, '5.1.1 No such user')))
}

function onData (stream, session, done) {
  const pieces = []
  stream.on('data', piece => stream.sizeExceeded || pieces.push(piece))
  stream.on('end', () => {
    // The library refuses it.
    if (stream.sizeExceeded) return done()
    const refused = fault(session.envelope.mailFrom.address, 'EndOfData')
    if (refused) return done(refused)
    const text = Buffer.concat(pieces)
    const results = session.envelope.rcptTo.map(recipient => {
      const late = this.options.lmtp && fault(recipient.address, 'EndOfData')
      if (late) return late
      store(session, recipient, text)
      return 'Stored'
    })
    done(null, this.options.lmtp ? results : results[0])
  })
}

// There is no hook at DATA.
const handleData = SMTPConnection.prototype.handler_DATA
SMTPConnection.prototype.handler_DATA = function (command, done) {
  const { mailFrom, rcptTo } = this.session.envelope
  const refused = rcptTo.length > 0 && fault(mailFrom.address, 'Data')
  if (!refused) return handleData.call(this, command, done)
  this.send(refused.responseCode, refused.message)
  done()
}

// Nor one that says that TLS cannot be had just now.
const handleStartTls = SMTPConnection.prototype.handler_STARTTLS
SMTPConnection.prototype.handler_STARTTLS = function (command, done) {
  if (!this._server.options.broken) return handleStartTls.call(this, command, done)
  this.send(454, 'TLS not available')
  done()
}

const loggingIn = { authMethods: ['PLAIN', 'LOGIN', 'CRAM-MD5', 'XOAUTH2'], disabledCommands: [] }
const bare = { disabledCommands: ['AUTH', 'STARTTLS'], size: undefined }
for (const feature of ['PIPELINING', '8BITMIME', 'SMTPUTF8', 'DSN']) bare['hide' + feature] = true
const own = {
  Submission: loggingIn,
  Implicit: { ...loggingIn, secure: true },
  Bare: bare,
  Broken: { broken: true },
  Few: { maxRecipients: settings.few },
  Strict: { maxClients: settings.connections, socketTimeout: 1000 * settings.idle },
  Old: { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' }
}

for (const listener of settings.listeners) {
  const server = new SMTPServer({
    name: settings.host,
    lmtp: settings.lmtp,
    key: readFileSync(listener.key),
    cert: readFileSync(listener.chain),
    size: listener.size,
    rejectOversized: true,
    disabledCommands: ['AUTH'],
    authOptional: true,
    disableReverseLookup: true,
    hideDSN: false,
    hideREQUIRETLS: false,
    onAuth,
    onMailFrom,
    onRcptTo,
    onData,
    ...own[listener.name]
  })
  server.on('error', error => console.error(listener.name, error.message))
  server.listen(listener.port, '127.0.0.1')
}
