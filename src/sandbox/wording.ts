/**
 * The words of the box: names and sentences in several scripts, so that nobody gets away with ASCII. All invented.
 * The short ones are cut from one text, so that they stay readable at a glance.
 */

export const firstNames =
  "Jane Jörg Aylin Zoë Mateus Björn Chloé Łucja Nguyễn Søren Inês Ömer Renée Kwame Priya Dmitri さくら 蓮 지우 يوسف נועה Ελένη Анна 小龙".split(
    " ",
  );

export const lastNames =
  "Doe|Müller|Şahin|García|da Conceição|Ångström|O’Neill|Nowak|Trần|Kjær|Okafor|Sharma|Петрова|田中|김|حداد|כהן|Παππά|王|Straße".split(
    "|",
  );

/** Handles are ASCII on Instagram: letters, digits, dots and underscores. */
export const handleStems =
  "jane.doe the_joerg aylin.cooks zoe mateus.photo bjorn_ chloe.in.paris lucja minh.travels soren__k ines.surf omer34 kwame_music dima".split(
    " ",
  );

export const phrases = [
  "Hi! Is this still available?",
  "Grüße aus München 👋 – geht das auch in Größe 38?",
  "Obrigada! Qual é o preço do frete? 🇧🇷",
  "こんにちは。在庫はありますか？",
  "안녕하세요, 배송은 얼마나 걸려요?",
  "مرحبا، هل تشحنون إلى دبي؟",
  "❤️❤️❤️",
  "When do you open tomorrow?",
  "👩‍👩‍👧‍👦 we are four, do you have a table at 19:30?",
  "Ich hätte gern zwei Stück, bitte. 100 % Baumwolle?",
  'Does it come in <blue> & "green"? https://example.com/a/b?c=d',
  "Дякую!",
] as const;

export const replies = ["Yes, it is!", "Natürlich, gern. 😊", "We ship within two days.", "Claro que sim ✨"] as const;
