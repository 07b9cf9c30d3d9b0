// @ts-check
// Loaded before the program: its clock is the one that the test moves. Each line on standard input is the number of
// milliseconds by which it is ahead of the machine's; when standard input ends, so does the program.
import { createInterface } from 'node:readline'

const Real = Date
let ahead = 0

globalThis.Date = /** @type {DateConstructor} */ (
  /** @type {unknown} */ (
    class extends Real {
      /** @param {ConstructorParameters<DateConstructor>} given */
      constructor(...given) {
        super(...(given.length ? given : [Real.now() + ahead]))
      }
      static now() {
        return Real.now() + ahead
      }
    }
  )
)

createInterface({ input: process.stdin })
  .on('line', (line) => {
    ahead = Number(line)
    console.log('moved')
  })
  .on('close', () => process.exit())
