import { Model } from "pagelm";
import { MainThreadModel } from "pagelm/main-thread";

/** What the tests call from outside. */
export const doors = { Model, MainThreadModel };
Object.assign(window, { doors });
