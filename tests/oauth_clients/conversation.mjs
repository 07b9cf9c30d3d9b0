// What both programs here share: they are told what to do, a line of JSON at a time, and answer each with one.
import { createInterface } from 'node:readline'

/**
 * An application that holds one session and reads a page with it.
 *
 * @param {object} library how a library does it: connect(settings), refresh(connection, refreshToken, parameters),
 *   revoke, introspect and read(connection, url, accessToken), whose 401 `isRefused` knows
 */
export async function converse(library) {
  let connection
  let tokens

  const actions = {
    ...library.extras,
    async connect(settings) {
      connection = await library.connect(settings)
      tokens = settings.tokens
      return connection.metadata
    },
    async refresh({ parameters } = {}) {
      // An answer without a refresh token means: keep yours.
      tokens = { ...tokens, ...(await library.refresh(connection, tokens.refresh_token, parameters)) }
      return tokens
    },
    async read({ url }) {
      let answer
      try {
        answer = await library.read(connection, new URL(url), tokens.access_token)
      } catch (error) {
        if (!library.isRefused(error)) throw error
        await actions.refresh()
        answer = await library.read(connection, new URL(url), tokens.access_token)
      }
      return { status: answer.status, body: await answer.json() }
    },
    revoke: ({ token, parameters }) => library.revoke(connection, token, parameters),
    introspect: ({ token, parameters }) => library.introspect(connection, token, parameters),
    held: () => tokens,
  }

  for await (const line of createInterface({ input: process.stdin })) {
    const { do: name, ...options } = JSON.parse(line)
    let reply
    try {
      reply = { result: (await actions[name](options)) ?? null }
    } catch (error) {
      reply = { error: describe(error) }
    }
    process.stdout.write(`${JSON.stringify(reply)}\n`)
  }
}

function describe(error) {
  const response = error.response ?? (error.cause instanceof Response ? error.cause : undefined)
  return {
    name: error.name,
    code: error.code,
    message: error.message,
    error: error.error,
    status: response?.status ?? error.status,
    retry_after: response?.headers.get('retry-after'),
    challenge: response?.headers.get('www-authenticate'),
  }
}
