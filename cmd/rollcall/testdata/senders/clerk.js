// Sends a webhook as Clerk does: node clerk.js URL SECRET ID FILE. Clerk's webhooks are
// Svix's, so Svix's library signs it.
import { readFileSync } from 'node:fs'
import { Webhook } from 'svix'

const [url, secret, id, file] = process.argv.slice(2)
const body = readFileSync(file, 'utf8')
const now = new Date()
const answer = await fetch(url, {
  method: 'POST', body,
  headers: {
    'content-type': 'application/json', 'svix-id': id, 'svix-timestamp': String(Math.floor(now / 1000)),
    'svix-signature': new Webhook(secret).sign(id, now, body),
  },
})
console.log(answer.status, await answer.text())
process.exit(answer.ok ? 0 : 1)
