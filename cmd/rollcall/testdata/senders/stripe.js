// Stands in for Stripe's command line in the quick start: `stripe login`, `listen` and `trigger`.
// The objects come from Stripe's mock at STRIPE_MOCK, and Stripe's library signs the events.
import { readFileSync, writeFileSync } from 'node:fs'
import Stripe from 'stripe'

const { STRIPE_MOCK, STRIPE_SECRET, STRIPE_FORWARD } = process.env
const stripe = new Stripe('sk_test_123', { host: '127.0.0.1', port: STRIPE_MOCK, protocol: 'http' })
const [command, ...args] = process.argv.slice(2)

// added are the values of --add NAME:PATH=VALUE, by name.
function added() {
  const all = {}
  args.forEach((arg, i) => {
    const [, name, path, value] = /^(\w+):([\w.]+)=(.*)$/.exec(args[i - 1] === '--add' ? arg : '') ?? []
    if (!name) return
    const keys = path.split('.')
    const last = keys.pop()
    keys.reduce((at, key) => (at[key] ??= {}), (all[name] ??= {}))[last] = value
  })
  return all
}

async function send(type, object) {
  const created = Math.floor(Date.now() / 1000)
  const id = 'evt_' + Math.random().toString(36).slice(2)
  const payload = JSON.stringify({
    id, object: 'event', api_version: '2025-03-31.basil', created, data: { object: { ...object, created } },
    livemode: false, pending_webhooks: 1, request: { id: null, idempotency_key: null }, type,
  })
  const answer = await fetch(readFileSync(STRIPE_FORWARD, 'utf8'), {
    method: 'POST', body: payload,
    headers: {
      'content-type': 'application/json; charset=utf-8',
      'user-agent': 'Stripe/1.0 (+https://stripe.com/docs/webhooks)',
      'stripe-signature': stripe.webhooks.generateTestHeaderString({ payload, secret: STRIPE_SECRET }),
    },
  })
  if (!answer.ok) throw new Error(`${type}: ${answer.status} ${await answer.text()}`)
}

// sell is a sale at the checkout, as Stripe's own trigger makes one. The mock checks what it
// is asked, but answers with examples: what was asked is put in their place.
async function sell() {
  const session = await stripe.checkout.sessions.create({
    mode: 'payment', success_url: 'https://example.com',
    line_items: [{ quantity: 1, price_data: { currency: 'usd', unit_amount: 3000, product_data: { name: 't-shirt' } } }],
    ...added().checkout_session,
  })
  const price = { amount: 3000, currency: 'usd' }
  const intent = { ...await stripe.paymentIntents.create(price), ...price }
  await send('payment_intent.created', intent)
  await send('payment_intent.succeeded', { ...intent, status: 'succeeded', amount_received: intent.amount })
  await send('checkout.session.completed', {
    ...session, ...added().checkout_session, payment_intent: intent.id, status: 'complete', payment_status: 'paid', amount_total: intent.amount,
    currency: intent.currency, customer: null, customer_details: { email: 'stripe@example.com', name: null },
  })
  console.log('Trigger succeeded! Check dashboard for event details.')
}

if (command === 'login') {
  console.log('Done! The Stripe CLI is configured.')
} else if (command === 'listen' && args[0] === '--print-secret') {
  console.log(STRIPE_SECRET)
} else if (command === 'listen' && args[0] === '--forward-to') {
  writeFileSync(STRIPE_FORWARD, args[1].includes('://') ? args[1] : 'http://' + args[1])
  console.log(`Ready! Your webhook signing secret is ${STRIPE_SECRET} (^C to quit)`)
  setInterval(() => {}, 1 << 30)
} else if (command === 'trigger' && args[0] === 'checkout.session.completed') {
  await sell()
} else {
  throw new Error(`stripe ${command} ${args.join(' ')} is not known here`)
}
