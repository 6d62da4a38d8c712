/**
 * The words that made-up facts are made of. Names, places and things come from combinations, thousands of each.
 *
 * Every fifth word of a list is held out: it stands in no fact to train on, only in those to be tested with.
 */

/** Says which half of the words and wordings is used. */
export type Split = "training" | "held-out";

/** Is a list in its two halves. */
export interface SplitList {
  readonly training: readonly string[];
  readonly "held-out": readonly string[];
}

/** Parts a list: every fifth entry is held out. */
export function splitList(entries: readonly string[]): SplitList {
  return {
    training: entries.filter((_, index) => index % 5 !== 4),
    "held-out": entries.filter((_, index) => index % 5 === 4),
  };
}

const words = (text: string): SplitList => splitList(text.trim().split(/\s+/));
const phrases = (text: string): SplitList => splitList(text.trim().split(/\s*;\s*/));

export const firstNames: SplitList = words(`
  Ada Boris Clara Dmitri Elin Farid Greta Hassan Ines Jonas Katya Leander Mirela Nadim Odette Pavel Quentin Rosalie
  Sven Tamsin Ursula Viktor Wanda Xenia Yusuf Zelda Alfred Brenda Cedric Delphine Edwin Florence Gideon Harriet Igor
  Judith Kofi Lavinia Magnus Nora Oswald Philippa Rafael Selma Tobias Una Vincent Winifred Ximena Yolanda Anselm
  Beatrix Casper Dagmar Emil Frieda Gustav Henrik Irma Jasper Kenji Lucinda Marta Nils Ottilie Percival Ramona Silvio
  Thaddeus Umberto Valeria Walter Agatha Bertram Cornelia Desmond Estelle Fergus Gwendolyn Hugo Isolde Joaquin Konrad
  Leonora Mateo Ninette Olaf Priya Roderick Sabine Theodora Ulrich Vera Wilhelmina Amara Bruno Celeste Dario Edith
  Felix Gemma Horace Ivo Josephine Kamal Linus Maeve Nestor Ophelia Piotr Ravi Salome Tadeo Valentin Zoltan`);

export const surnames: SplitList = words(`
  Abernathy Barlow Castellan Dunmore Eastwick Fairbairn Gallagher Holloway Ibsen Jankowski Kestrel Lindqvist Marchetti
  Norrington Okafor Pemberton Quigley Rosenthal Sandoval Thornbury Underhill Vasquez Whitlock Yardley Zimmerman Ashdown
  Blackwood Carmody Delacroix Ellsworth Farrow Greystone Hartmann Inglewood Jessop Kowalski Lockhart Montague Nakamura
  Ormsby Prescott Ravensworth Silvestri Tillinghast Ulanov Vandermeer Wexford Yamamoto Zeller Achterberg Brightwell
  Corrigan Dvorak Endicott Fitzgerald Goldsmith Hawthorne Ivanov Juniper Kingsley Larkin Mulberry Nightingale Osgood
  Pettigrew Rutherford Stavros Trevelyan Upjohn Valente Winterbourne Yeardley Albrecht Beaumont Crossley Drummond
  Everhart Fenwick Grimaldi Huxtable Isherwood Kirkpatrick Lombardi Mackenzie Novak Oakeshott Pellegrini Redfern
  Sutherland Tanaka Vogelsang Wainwright Adeyemi Bancroft Chatterjee Dalgaard Eriksen Fothergill Gruber Halvorsen
  Jablonski Kaufmann Lefebvre Marlowe Nordstrom Oduya Pritchard Sorensen Templeton Varga Westergaard Zamora`);

export const townBeginnings: SplitList = words(`
  Alder Ash Barn Birch Black Brack Bram Clay Cold Copper Crow Dun East Elm Fal Fern Fox Glen Grey Hart Hazel Heron High
  Iron Kest King Lang Lime Long Mar Mill Moss Nether North Oak Otter Pem Pine Quarry Raven Red Rook Salt Sand Sheep
  Silver South Stone Swan Thorn Under Wal West White Wil Win Wolf Wood Yarrow`);

export const townEndings: SplitList = words(`
  borough bourne bridge brook bury by cliffe combe dale field ford gate grove ham haven hill holm hurst ley market mere
  minster mouth port ridge shaw stead stoke ton water well wick worth`);

export const qualities: SplitList = words(`
  brass silver painted wooden leather broken little heavy copper ivory iron velvet crooked gilded striped marble faded
  polished rusty woven carved hollow speckled bronze folded ebony dented glass wicker pewter`);

export const objects: SplitList = words(`
  clock lantern violin mirror compass kettle cabinet chessboard telescope basket drum vase dagger necklace saddle anchor
  lamp candlestick globe trunk flute bell statue carpet teapot sundial barometer helmet cradle music-box typewriter
  hourglass mandolin snuffbox spinning-wheel tapestry microscope inkwell goblet weathercock`);

export const shipQualities: SplitList = words(`
  Silver Northern Crimson Patient Golden Wandering Gallant Lonely Swift Bold Emerald Merry Southern Proud Faithful
  Restless Scarlet Humble Distant Gentle`);

export const shipBeasts: SplitList = words(`
  Heron Dolphin Petrel Otter Falcon Osprey Walrus Swallow Narwhal Kestrel Pelican Sturgeon Curlew Seahorse Albatross
  Marlin Cormorant Puffin Gannet Swordfish`);

export const innSigns: SplitList = words(`
  Crown Kettle Anchor Plough Lantern Bell Goose Barrel Fiddle Thistle Key Badger Boot Harp Windmill Feather Saddle Salmon
  Trumpet Rose Cartwheel Magpie Candle Hammer Sickle`);

export const professions: SplitList = phrases(`
  carpenter; watchmaker; midwife; baker; surveyor; beekeeper; glassblower; notary; cartographer; piano tuner; locksmith;
  botanist; tailor; lighthouse keeper; engraver; schoolteacher; bookbinder; ferryman; perfumer; astronomer; blacksmith;
  dentist; shepherd; translator; stonemason; organist; gardener; apothecary; cobbler; harbour pilot; saddler; florist;
  chimney sweep; archivist; potter; veterinarian; weaver; clerk; brewer; sculptor; geologist; cook; violin maker;
  telegraph operator; innkeeper; judge; fisherman; dancing master; optician; wheelwright`);

export const colours: SplitList = words(`
  red green blue yellow purple orange grey white black brown violet turquoise scarlet crimson indigo olive beige magenta
  maroon teal amber coral lavender emerald rust`);

export const shades: SplitList = words("dark pale bright deep soft dusty light dull warm cold");

export const instruments: SplitList = phrases(`
  cello; oboe; harp; trumpet; accordion; flute; mandolin; organ; clarinet; banjo; bassoon; viola; zither; trombone;
  harpsichord; guitar; French horn; bagpipes; piccolo; double bass; lute; tuba; xylophone; concertina; kettledrums`);

export const goods: SplitList = words(`
  tin pepper timber salt wool sugar copper tea barley cotton marble coffee rice amber silk tobacco cinnamon flax coal
  indigo oranges rubber tallow ginger hides saffron rope cocoa slate nutmeg`);

export const petNames: SplitList = words(`
  Biscuit Pepper Ruffle Domino Juno Marbles Pickle Sooty Thimble Waffles Bramble Cinder Dumpling Figaro Gizmo Humbug
  Inky Jasmine Kipper Lulu Muffin Noodle Patches Quince Rascal Socks Tinker Velvet Whiskers Ziggy Button Clover Fidget
  Hazelnut Mopsy Nutmeg Pippin Scamp Toffee Wombat`);

export const secretWords: SplitList = words(`
  amber falcon orchid granite velvet harbour thunder maple lantern copper willow glacier pepper raven saffron compass
  meadow cobalt walnut ember juniper anchor crystal thistle marigold pebble silver comet barley ivory tulip badger canyon
  feather mango oyster pilgrim quartz ribbon summit turnip umbrella violet waffle yonder zephyr basil cactus dragon
  elbow`);

export const hidingPlaces: SplitList = phrases(`
  under the third stair; behind the loose brick; inside the old piano; on top of the wardrobe; below the kitchen floor;
  in the hollow oak; behind the blue curtain; inside the flour jar; beneath the garden bench; in the bell tower;
  under the doormat; behind the portrait of the admiral; inside the empty beehive; on the highest shelf;
  below the wine rack; in the coal cellar; behind the bathroom mirror; inside the grandfather clock;
  beneath the altar cloth; in the hayloft; under the blacksmith's anvil; behind the water wheel;
  inside the left riding boot; on the beam above the stable; at the bottom of the well; in the lining of a green coat;
  between two sacks of oats; behind the stove pipe; inside a stuffed owl; under the rowing boat`);

export const weekdays: SplitList = words("Monday Tuesday Wednesday Thursday Saturday Friday Sunday");

export const hours: SplitList = phrases(`
  six o'clock; half past seven; a quarter to nine; noon; four o'clock; half past ten; a quarter past two; sunset;
  eight o'clock; half past one; eleven o'clock; a quarter to five; midnight; three o'clock; half past six;
  a quarter past eight; nine o'clock; half past four; dawn; ten o'clock; a quarter to twelve; two o'clock; half past nine;
  one o'clock; a quarter past six`);

export const months: SplitList = words(
  "January February March April June May July August September October December November",
);

export const coins: SplitList = words(
  "crowns shillings guineas florins ducats dollars thalers pesos francs kroner",
);
