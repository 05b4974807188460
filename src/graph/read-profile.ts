import type { ParticipantId } from "../domain/ids.ts";
import { nameLengthMax, type Profile, usernameLengthMax } from "../domain/profile.ts";
import { cleanText } from "../lib/clean-text.ts";
import { checkPictureUrl } from "./check-picture-url.ts";
import { isRecord, readIdText } from "./parse-json.ts";

/** How long a picture without an expiry of its own is taken to live (meta-platform.md §9). */
export const pictureLifetimeMs = 24 * 3_600_000;

/** What every profile of one call shares. */
export type ProfileContext = {
  readonly fetchedAtMs: number;
  /** Origin of the sandbox where the Graph server is on this machine; else null. */
  readonly pictureOrigin: string | null;
};

export type ProfileReading =
  | {
      readonly kind: "profile";
      readonly profile: Profile;
      /** There was a picture, at an address that we do not take. */
      readonly pictureRefused: boolean;
    }
  | { readonly kind: "refused"; readonly reason: "wrong_person" | "bad_answer" };

/**
 * Reads the body of a profile call (meta-platform.md §3.1, §3.3): names are cleaned and cut at the domain's limits, every
 * field may be missing, the picture passes `checkPictureUrl()` or is dropped. A body for another id than `askedId` is
 * refused as `wrong_person`; one without an id is a `bad_answer`, since nothing says whose it is. Never throws.
 */
export function readProfile(context: ProfileContext, askedId: ParticipantId, body: unknown): ProfileReading {
  const id = isRecord(body) ? readIdText(body.id) : null;
  if (!isRecord(body) || id === null) return { kind: "refused", reason: "bad_answer" };
  if (id !== askedId) return { kind: "refused", reason: "wrong_person" };

  const { fetchedAtMs, pictureOrigin } = context;
  const pictureText = typeof body.profile_pic === "string" && body.profile_pic !== "" ? body.profile_pic : null;
  const picture = pictureText === null ? null : checkPictureUrl(pictureText, pictureOrigin);
  const profile: Profile = {
    participantId: askedId,
    username: cleanText(body.username, usernameLengthMax),
    name: cleanText(body.name, nameLengthMax),
    pictureUrl: picture?.url ?? null,
    pictureExpiresAtMs: picture === null ? null : (picture.expiresAtMs ?? fetchedAtMs + pictureLifetimeMs),
    fetchedAtMs,
  };
  return { kind: "profile", profile, pictureRefused: pictureText !== null && picture === null };
}
