// @ts-check
// evertoken's access tokens with jose: signature and claims by the issuer's published keys, and the revocation feed.
import { setTimeout as sleep } from 'node:timers/promises'
import { createRemoteJWKSet, jwtVerify } from 'jose'

const { ISSUER = 'http://localhost:8000', AUDIENCE = ISSUER, CLIENT_ID = '', CLIENT_SECRET = '' } = process.env
const keys = createRemoteJWKSet(new URL('/.well-known/jwks.json', ISSUER)) // follows rotation, asks at most every 30 s
const rules = {
  issuer: ISSUER,
  audience: AUDIENCE,
  typ: 'at+jwt', // a refresh token, an ID token or another's JWT is none
  algorithms: ['ES256', 'EdDSA', 'RS256'],
  requiredClaims: ['exp', 'iat'],
}
const names = ['sub', 'sid', 'jti', 'client_id'] // RFC 9068 §2.2, and the session
const revoked = new Map() // session id -> until when it is kept, in ms

/**
 * The claims of a request's access token, or the problem to answer.
 * @param {import('node:http').IncomingMessage} request
 */
export async function guard(request) {
  const [header = '', ...more] = request.headersDistinct.authorization ?? []
  const token = /^Bearer +([^ ]+) *$/i.exec(header)?.[1]
  if (more.length || !token) return refuse('token_invalid', '')
  try {
    const { payload: claims } = await jwtVerify(token, keys, rules)
    const isWhole = names.every((name) => typeof claims[name] === 'string') && !claims.cnf // cnf: not a bearer's
    return isWhole && !revoked.has(claims.sid) ? { claims } : refuse('token_invalid')
  } catch (error) {
    if (error.code === 'ERR_JWT_EXPIRED') return refuse('token_expired')
    if (/^ERR_(JW[ST]_|JWKS_NO_MATCHING_KEY|JOSE_ALG|JOSE_NOT_SUPPORTED)/.test(error.code)) return refuse('token_invalid')
    console.error('keys:', error.message) // the issuer cannot be asked: nobody is signed out by that
    return refuse('unavailable', '', 503, { 'Retry-After': '2' })
  }
}

/** Start to follow the feed; done when everything that has been revoked is known. It never gives up. */
export async function follow() {
  let cursor = await step('', 0)
  while (!cursor.complete) cursor = await step(cursor.after, 0)
  void (async () => {
    for (;;) cursor = await step(cursor.after, cursor.complete ? 25 : 0)
  })()
}

/** One poll, from a cursor on: the server answers as soon as there is news, or after so many seconds. */
async function step(after, wait) {
  for (;; wait = 0) {
    try {
      const query = new URLSearchParams({ wait: String(wait), ...(after && { after }) })
      const basic = btoa([CLIENT_ID, CLIENT_SECRET].map(encodeURIComponent).join(':'))
      const answer = await fetch(new URL(`/auth/revocations?${query}`, ISSUER), {
        headers: { Authorization: `Basic ${basic}` },
        signal: AbortSignal.timeout((wait + 5) * 1000),
      })
      if (answer.status === 400) after = '' // not a cursor of this server: begin anew
      if (!answer.ok) throw new Error(`${answer.status}`)
      const page = await answer.json()
      const now = Date.now()
      for (const [sid, until] of revoked) if (until < now) revoked.delete(sid)
      for (const { session_id: sid } of page.revoked) revoked.set(sid, now + page.kept_seconds * 1000)
      return { after: page.cursor, complete: page.complete }
    } catch (error) {
      console.error('revocation feed:', error.message) // 401: the credential is wrong
      await sleep(250 + 1000 * Math.random())
    }
  }
}

/** A refusal as evertoken's clients read it: they go by `code`, and refresh after a 401. */
function refuse(code, error = ', error="invalid_token"', status = 401, more = {}) {
  const challenge = status === 401 ? { 'WWW-Authenticate': `Bearer realm="orders"${error}` } : {}
  const headers = { 'Content-Type': 'application/problem+json', 'Cache-Control': 'no-store', ...challenge, ...more }
  return { problem: { status, headers, body: { type: `urn:evertoken:problem:${code}`, status, code } } }
}
