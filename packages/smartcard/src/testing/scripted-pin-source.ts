import type { PinRequest, PinSource } from "../pin.ts";

/** Gives prepared PINs and keeps what it was asked. */
export interface ScriptedPinSource extends PinSource {
  readonly asked: PinRequest[];
  readonly confirmed: PinRequest[];
}

/** `pins` in turn, the last one for ever. `mayLock`: the answer to "spend the last try?". */
export function scriptedPinSource(
  pins: readonly string[],
  { isInteractive = true, mayLock = false } = {},
): ScriptedPinSource {
  const asked: PinRequest[] = [];
  const confirmed: PinRequest[] = [];
  return {
    ...{ isInteractive, asked, confirmed },
    async ask(request) {
      const pin = pins[Math.min(asked.length, pins.length - 1)];
      asked.push(request);
      if (pin === undefined) throw new Error("no PIN was prepared");
      return pin;
    },
    async confirmLastTry(request) {
      confirmed.push(request);
      return mayLock;
    },
  };
}
