// @ts-check
/** What a User-Agent says of a device, in two words. */

/** The first that fits; the browsers that call themselves something else as well come first. @type {[RegExp, string][]} */
const PROGRAMS = [
  [/\bEdg(?:e|A|iOS)?\/(\d+)/, "Edge"],
  [/\bOPR\/(\d+)/, "Opera"],
  [/\bSamsungBrowser\/(\d+)/, "Samsung Internet"],
  [/\bMicroMessenger\/(\d+)/, "WeChat"],
  [/\b(?:Firefox|FxiOS)\/(\d+)/, "Firefox"],
  [/\b(?:HeadlessChrome|Chrome|CriOS)\/(\d+)/, "Chrome"],
  [/\bVersion\/(\d+)\S* (?:Mobile\/\S+ )?Safari\//, "Safari"],
];

/** @type {[RegExp, string][]} */
const SYSTEMS = [
  [/\biPhone\b/, "iPhone"],
  [/\biPad\b/, "iPad"],
  [/\bAndroid\b/, "Android"],
  [/\bWindows NT\b/, "Windows"],
  [/\bMac OS X\b/, "macOS"],
  [/\bCrOS\b/, "ChromeOS"],
  [/\bLinux\b/, "Linux"],
];

/**
 * A browser and a system where they are known, else what the program calls itself.
 * @param {string} agent
 * @returns {string} empty where there is nothing
 */
export function deviceName(agent) {
  const program = PROGRAMS.find(([pattern]) => pattern.test(agent));
  const system = SYSTEMS.find(([pattern]) => pattern.test(agent))?.[1];
  if (!program || !agent.startsWith("Mozilla/")) return agent.length > 60 ? `${agent.slice(0, 60)}…` : agent;
  const name = `${program[1]} ${program[0].exec(agent)?.[1]}`;
  return system ? `${name} · ${system}` : name;
}
