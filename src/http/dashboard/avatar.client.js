// A person's picture, or their first letter until there is one.

/** Draws into `holder` what is known of the person; draws nothing where it already stands there. */
export function drawAvatar(holder, name, known, pictureUrl) {
  const picture = readPictureUrl(pictureUrl);
  const drawn = JSON.stringify([name, known, picture]);
  if (holder.dataset.drawn === drawn) return;
  holder.dataset.drawn = drawn;
  holder.style.setProperty("--hue", String(hueOf(name)));
  holder.dataset.kind = known ? "letter" : "unknown";
  const letter = document.createElement("span");
  letter.textContent = known ? ([...name.trim()][0] ?? "?").toUpperCase() : "#";
  holder.replaceChildren(letter);
  if (picture === null) return;
  const image = document.createElement("img");
  image.referrerPolicy = "no-referrer";
  image.alt = "";
  image.decoding = "async";
  image.width = image.height = 48;
  // Laid over the letter only once it is whole: a picture whose address has died leaves the letter standing.
  image.addEventListener("load", () => image.classList.add("loaded"));
  image.addEventListener("error", () => image.remove());
  image.src = picture;
  holder.append(image);
}

/** Only web addresses: anything else could run or show something of ours. */
function readPictureUrl(text) {
  if (text === null || !URL.canParse(text)) return null;
  const { protocol, href } = new URL(text);
  return protocol === "https:" || protocol === "http:" ? href : null;
}

function hueOf(name) {
  let sum = 0;
  for (const character of name) sum = (sum * 31 + character.codePointAt(0)) % 360;
  return sum;
}
