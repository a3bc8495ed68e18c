/** What xl says about its work on standard error, one line each. */

export interface LogStyle {
  /** Say what is asked of the service: -v. */
  readonly verbose: boolean;
  /** The time and the process in front of each line: -T. */
  readonly stamped: boolean;
}

let style: LogStyle = { verbose: false, stamped: false };

/** For the rest of the invocation. */
export function setLogStyle(wanted: LogStyle): void {
  style = wanted;
}

export function say(text: string): void {
  const now = new Date().toISOString().replace(/T(.*)\..*/, ' $1 UTC');
  const stamp = style.stamped ? `[${now}] xl[${process.pid}]` : 'xl';
  process.stderr.write(`${stamp}: ${text}\n`);
}

/** What cannot be honoured and does no harm. */
export const warn = (text: string): void => say(`warning: ${text}`);

export function sayVerbosely(text: string): void {
  if (style.verbose) say(text);
}
