// @ts-check
// What a request brings, what makes a JWT an access token, and the refusals that evertoken's clients understand.
import { errors } from 'jose'

/** @param {import('node:http').IncomingMessage} request  @returns {string} its token; empty where there is none, or two */
export function tokenOf(request) {
  const [header = '', ...more] = request.headersDistinct.authorization ?? []
  return (more.length === 0 && /^Bearer +([^ ]+) *$/i.exec(header)?.[1]) || ''
}

/** RFC 9068 §2.2, and the session. @param {import('jose').JWTPayload} claims  @param {Map<string, number>} ended */
export function demandAccessToken(claims, ended) {
  const texts = ['sub', 'sid', 'jti', 'client_id'].every((name) => typeof claims[name] === 'string')
  const times = [claims.exp, claims.iat].every((time) => typeof time === 'number')
  const isBound = claims.cnf !== undefined // to a key that the caller must prove to have: no bearer token
  if (!texts || !times || isBound || ended.has(String(claims.sid))) throw new errors.JWTInvalid('no token for us')
}

/**
 * Answer as evertoken does: its clients go by `code`, and refresh after a 401.
 * @param {import('node:http').IncomingMessage} request  @param {import('node:http').ServerResponse} response
 * @param {any} error
 */
export function refuse(request, response, error) {
  const isOfTheToken = /^ERR_(JW[ST]_|JWKS_NO_MATCHING_KEY|JOSE_ALG|JOSE_NOT_SUPPORTED)/.test(error.code)
  if (!isOfTheToken) console.error('cannot judge:', error.message) // keys or feed out of reach: nobody is signed out by that
  const status = isOfTheToken ? 401 : 503
  const code = { 401: error.code === 'ERR_JWT_EXPIRED' ? 'token_expired' : 'token_invalid', 503: 'unavailable' }[status]
  const challenge = 'Bearer realm="orders"' + (tokenOf(request) ? ', error="invalid_token"' : '')
  const more = isOfTheToken ? { 'WWW-Authenticate': challenge } : { 'Retry-After': '2' }
  response.writeHead(status, { 'Content-Type': 'application/problem+json', 'Cache-Control': 'no-store', ...more })
  response.end(JSON.stringify({ type: `urn:evertoken:problem:${code}`, status, code }))
}
