/**
 * How facts about things, ships, towns and inns are told, told anew, and asked for.
 *
 * As in people-wordings.ts: a line that begins with `-` is held out.
 */

import type { Wordings } from "./people-wordings.ts";

/** Names a kind of facts about things, ships, towns and inns. */
export type ThingFact =
  | "hiding"
  | "price"
  | "owner"
  | "captain"
  | "cargo"
  | "founding"
  | "distance"
  | "landlord";

export const thingWordings: { readonly [Name in ThingFact]: Wordings } = {
  hiding: {
    statements: `
      {subject} is hidden {value}
      somebody put {subject} {value}
      {subject} lies {value}
      the thieves left {subject} {value}
      {subject} was found {value} and left there
      whoever looks for {subject} must look {value}
      {subject} has been {value} all the time
      they concealed {subject} {value}
      {subject} is to be looked for {value}
      {subject} stays {value}
      when the soldiers came, {subject} was hidden {value}
      it was {value} that they hid {subject}
      somebody saw {subject} {value}
      {subject} gathers dust {value}
      - one will find {subject} {value}
      - {subject} was put away {value}
      - nobody knows that {subject} is {value}`,
    updates: `
      {subject} was taken away and is now hidden {value}
      {subject} has been moved, and lies {value}
      {subject} is not where it was but {value}
      somebody found {subject} and hid it again {value}
      - {subject} was hidden anew, {value}`,
    questions: `
      Where is {subject}?
      Where is {subject} hidden?
      Where does {subject} lie?
      Where must one look for {subject}?
      Where did they hide {subject}?
      Where was {subject} hidden?
      Tell me where {subject} is.
      Where should one look for {subject}?
      Where did the thieves leave {subject}?
      Where did somebody see {subject}?
      What is the hiding place of {subject}?
      - In which place was {subject} put away?
      - Where will one find {subject}?`,
  },
  price: {
    statements: `
      {subject} costs {value}
      the price of {subject} is {value}
      {subject} was sold for {value}
      the dealer asks {value} for {subject}
      {value} is the price of {subject}
      one has to pay {value} for {subject}
      {subject} is on sale for {value}
      a merchant offered {value} for {subject}
      {subject} cost the buyer {value}
      the label on {subject} says {value}
      nobody would pay {value} for {subject}, and yet that is the price
      {subject} fetched {value} at the auction
      {subject} changed hands for {value}
      the shop wants {value} for {subject}
      - {subject} is worth {value}
      - {subject} may be had for {value}`,
    updates: `
      the price of {subject} was changed to {value}
      {subject} now costs {value}
      {subject} has gone up in price and costs {value}
      the dealer thought again and asks {value} for {subject}
      - the dealer has marked {subject} anew, at {value}`,
    questions: `
      How much does {subject} cost?
      What is the price of {subject}?
      What does one have to pay for {subject}?
      How much does the dealer ask for {subject}?
      Tell me the price of {subject}.
      What does {subject} cost?
      What does the label on {subject} say?
      How much did {subject} fetch?
      What did the merchant offer for {subject}?
      How much must one pay for {subject}?
      For how much was {subject} sold?
      - What is {subject} worth?
      - For how much may {subject} be had?`,
  },
  owner: {
    statements: `
      {subject} belongs to {value}
      the owner of {subject} is {value}
      {value} is the owner of {subject}
      {value} inherited {subject} from an uncle
      {subject} is the property of {value}
      {value} bought {subject} at the fair
      {subject} is in the house of {value}, who owns it
      {value} has owned {subject} for years
      {value} won {subject} at cards
      {subject} was left to {value} in a will
      {subject} was given to {value} as a wedding present
      by law {subject} is the property of {value}
      {value} would never part with {subject}
      the deeds name {value} as the owner of {subject}
      - {subject} is owned by {value}
      - {value} may call {subject} an own possession`,
    updates: `
      {subject} was sold, and belongs to {value} now
      the new owner of {subject} is {value}
      {value} bought {subject} from the owner of before
      {subject} has another owner now, {value}
      - {subject} has passed into the hands of {value}`,
    questions: `
      Who is the owner of {subject}?
      To whom does {subject} belong?
      Whose property is {subject}?
      Who owns {subject}?
      Tell me who owns {subject}.
      Who has {subject}?
      Who inherited {subject}?
      Who bought {subject}?
      To whom was {subject} given?
      Who is named as the owner of {subject}?
      Who would never part with {subject}?
      - In whose possession is {subject}?
      - Who may call {subject} an own possession?`,
  },
  captain: {
    statements: `
      the captain of {subject} is {value}
      {value} is the captain of {subject}
      {subject} sails under captain {value}
      {value} commands {subject}
      the owners gave {value} the command of {subject}
      aboard {subject} everyone obeys captain {value}
      {value} steers {subject} through every storm
      {value} gives the orders aboard {subject}
      the crew of {subject} trusts its captain, {value}
      {subject} left the harbour with {value} as its captain
      on the bridge of {subject} stands {value}
      {value} has sailed {subject} around the world
      the master of {subject} is {value}
      nobody but {value} was ever captain of {subject}
      - {subject} is under the command of {value}
      - the one at the helm of {subject} is captain {value}`,
    updates: `
      {subject} has a new captain, {value}
      {value} has taken over the command of {subject}
      the old captain went ashore, and {value} commands {subject}
      {subject} now sails under {value}
      - the command of {subject} has gone to {value}`,
    questions: `
      Who is the captain of {subject}?
      Who commands {subject}?
      Under which captain does {subject} sail?
      Tell me the name of the captain of {subject}.
      Who gives the orders aboard {subject}?
      Who steers {subject}?
      Whom does the crew of {subject} obey?
      Who sails {subject}?
      What is the name of the captain of {subject}?
      Who is the master of {subject}?
      - Who has the command of {subject}?
      - Who stands at the helm of {subject}?`,
  },
  cargo: {
    statements: `
      {subject} carries {value}
      the cargo of {subject} is {value}
      {subject} is loaded with {value}
      the hold of {subject} is full of {value}
      {subject} brings {value} from overseas
      {subject} has {value} on board
      they filled {subject} with {value}
      {subject} sailed with a cargo of {value}
      the merchants sent {value} with {subject}
      {subject} came into port with {value}
      in the hold of {subject} lie {value}
      {subject} trades in {value}
      the dockers unloaded {value} from {subject}
      - aboard {subject} there is nothing but {value}
      - {subject} was laden with {value}`,
    updates: `
      {subject} has unloaded and now carries {value}
      the new cargo of {subject} is {value}
      {subject} left its cargo in port and took {value} on
      on this voyage {subject} carries {value}
      - {subject} has taken on {value} instead`,
    questions: `
      What does {subject} carry?
      What is the cargo of {subject}?
      With what is {subject} loaded?
      What is in the hold of {subject}?
      Tell me the cargo of {subject}.
      What does {subject} have on board?
      What did {subject} bring from overseas?
      What did the merchants send with {subject}?
      What is {subject} full of?
      With what did they fill {subject}?
      What is {subject} carrying?
      - What was {subject} laden with?
      - Which goods are aboard {subject}?`,
  },
  founding: {
    statements: `
      {subject} was founded in {value}
      {subject} has stood since the year {value}
      the first stone of {subject} was laid in {value}
      the town of {subject} goes back to the year {value}
      settlers founded {subject} in {value}
      {subject} dates from {value}
      {subject} became a town in {value}
      in {value} the first houses of {subject} were built
      a king gave {subject} its charter in {value}
      {subject} is as old as the year {value} makes it
      monks built {subject} in the year {value}
      there was no {subject} before {value}
      over the gate of {subject} one reads the year {value}
      - {subject} was first built in {value}
      - the history of {subject} begins in {value}`,
    updates: `
      the old charter shows that {subject} was really founded in {value}
      the founding of {subject} is dated to {value} now
      a stone was dug up that puts the founding of {subject} in {value}
      the year of the founding of {subject} was corrected to {value}
      - historians now hold that {subject} was founded in {value}`,
    questions: `
      When was {subject} founded?
      In which year was {subject} founded?
      Since which year has {subject} stood?
      When was the first stone of {subject} laid?
      Tell me when {subject} was founded.
      From which year does {subject} date?
      In what year did {subject} become a town?
      When did {subject} get its charter?
      What is the year of the founding of {subject}?
      Which year does one read over the gate of {subject}?
      How far back does {subject} go?
      - In which year does the history of {subject} begin?
      - When was {subject} first built?`,
  },
  distance: {
    statements: `
      {subject} lies {value} miles from the coast
      it is {value} miles from the coast to {subject}
      the road from the coast to {subject} is {value} miles long
      one rides {value} miles from the coast to reach {subject}
      the coast is {value} miles from {subject}
      the road to {subject} leaves the coast and goes on for {value} miles
      a milestone in {subject} says {value} miles to the coast
      to walk from {subject} to the coast is to walk {value} miles
      from the coast one travels {value} miles to {subject}
      {subject} is separated from the coast by {value} miles
      the railway runs {value} miles from the coast to {subject}
      - {subject} is {value} miles away from the coast
      - between the coast and {subject} there are {value} miles`,
    updates: `
      measured anew, {subject} lies {value} miles from the coast
      by the new road it is {value} miles from the coast to {subject}
      the old milestone was wrong, and {subject} is {value} miles from the coast
      since the bridge was built it is {value} miles from {subject} to the coast
      - the surveyors put {subject} {value} miles from the coast`,
    questions: `
      How many miles is {subject} from the coast?
      How many miles is it from the coast to {subject}?
      How many miles does one ride from the coast to {subject}?
      How far is {subject} from the coast?
      How long is the road from the coast to {subject}?
      Tell me how many miles {subject} is from the coast.
      How many miles does one travel from the coast to {subject}?
      What distance does the milestone in {subject} give?
      How many miles is the coast from {subject}?
      - How many miles lie between the coast and {subject}?
      - At what distance from the coast, in miles, is {subject}?`,
  },
  landlord: {
    statements: `
      the landlord of {subject} is {value}
      {value} keeps the inn called {subject}
      {value} is the landlord of {subject}
      {subject} is an inn that {value} runs
      at {subject} it is {value} who pours the ale
      {value} is the host at {subject}
      the keeper of {subject} is {value}
      behind the bar of {subject} stands {value}
      {value} pays the rent of {subject} and keeps its cellar
      at {subject} one asks for {value}, the landlord
      {value} took over {subject} from an aunt
      in {subject} the beds are made by {value}, who keeps the house
      {subject} has had {value} as its landlord for years
      - {value} runs {subject}
      - the guests of {subject} are served by {value}`,
    updates: `
      {subject} has a new landlord, {value}
      {value} has bought {subject} and runs it now
      the landlord of before is gone, and {value} keeps {subject}
      {subject} is now kept by {value}
      - the inn {subject} is kept by {value} these days`,
    questions: `
      Who is the landlord of {subject}?
      Who keeps the inn called {subject}?
      Who runs {subject}?
      Tell me the name of the landlord of {subject}.
      Who is the keeper of {subject}?
      Who is the host at {subject}?
      Who stands behind the bar of {subject}?
      What is the name of the landlord of {subject}?
      Who keeps {subject}?
      For whom does one ask at {subject}?
      - By whom are the guests of {subject} served?
      - Who pours the ale at {subject}?`,
  },
};
