// @ts-check
// Follows the issuer's feed of ended sessions: a cursor, a long poll, and no gap over a restart of the issuer.
import { setTimeout as sleep } from 'node:timers/promises'

const { CLIENT_ID, CLIENT_SECRET } = process.env
const headers = { Authorization: `Basic ${btoa(`${CLIENT_ID}:${CLIENT_SECRET}`)}` }

/**
 * @typedef {object} Feed
 * @property {Map<string, number>} ended  ids of ended sessions, and until when each is kept, in ms
 * @property {number} heardAt             when everything that has ended was known last, in ms
 */

/**
 * Start to follow; done once everything that has ended is known. It goes on for as long as the process lives.
 * @param {string} issuer
 * @returns {Promise<Feed>}
 */
export function follow(issuer) {
  const feed = { ended: new Map(), heardAt: 0 }
  return new Promise((known) => void poll(issuer, feed, () => known(feed)))
}

/** @param {string} issuer  @param {Feed} feed  @param {() => void} known */
async function poll(issuer, feed, known) {
  for (let after = '', wait = 0; ; ) {
    try {
      const place = new URL(`/auth/revocations?wait=${wait}${after}`, issuer)
      const answer = await fetch(place, { headers, signal: AbortSignal.timeout((wait + 5) * 1000) })
      if (answer.status === 400) after = '' // no cursor of this server: begin anew
      if (!answer.ok) throw new Error(`${answer.status}`) // 401: the credential is wrong
      const page = await answer.json()
      const now = Date.now()
      for (const [sid, until] of feed.ended) if (until < now) feed.ended.delete(sid)
      for (const { session_id: sid } of page.revoked) feed.ended.set(sid, now + page.kept_seconds * 1000)
      after = `&after=${page.cursor}`
      wait = page.complete ? 25 : 0
      if (page.complete) feed.heardAt = now
      if (page.complete) known()
    } catch (error) {
      console.error('revocation feed:', error instanceof Error ? error.message : error)
      wait = 0 // know at once whether the outage is over
      await sleep(500 + 1500 * Math.random()) // not with everybody else
    }
  }
}
