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
      - one will find {subject} {value}
      - {subject} was put away {value}
      - nobody knows that {subject} is {value}`,
    updates: `
      {subject} was taken away and is now hidden {value}
      {subject} has been moved, and lies {value}
      - {subject} was hidden anew, {value}`,
    questions: `
      Where is {subject}?
      Where is {subject} hidden?
      Where does {subject} lie?
      Where must one look for {subject}?
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
      - {subject} is worth {value}
      - {subject} may be had for {value}`,
    updates: `
      the price of {subject} was changed to {value}
      {subject} now costs {value}
      - the dealer has marked {subject} anew, at {value}`,
    questions: `
      How much does {subject} cost?
      What is the price of {subject}?
      What does one have to pay for {subject}?
      How much does the dealer ask for {subject}?
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
      - {subject} is owned by {value}
      - {value} may call {subject} an own possession`,
    updates: `
      {subject} was sold, and belongs to {value} now
      the new owner of {subject} is {value}
      - {subject} has passed into the hands of {value}`,
    questions: `
      Who is the owner of {subject}?
      To whom does {subject} belong?
      Whose property is {subject}?
      Who owns {subject}?
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
      - {subject} is under the command of {value}
      - the one at the helm of {subject} is captain {value}`,
    updates: `
      {subject} has a new captain, {value}
      {value} has taken over the command of {subject}
      - the command of {subject} has gone to {value}`,
    questions: `
      Who is the captain of {subject}?
      Who commands {subject}?
      Under which captain does {subject} sail?
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
      - aboard {subject} there is nothing but {value}
      - {subject} was laden with {value}`,
    updates: `
      {subject} has unloaded and now carries {value}
      the new cargo of {subject} is {value}
      - {subject} has taken on {value} instead`,
    questions: `
      What does {subject} carry?
      What is the cargo of {subject}?
      With what is {subject} loaded?
      What is in the hold of {subject}?
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
      - {subject} was first built in {value}
      - the history of {subject} begins in {value}`,
    updates: `
      the old charter shows that {subject} was really founded in {value}
      the founding of {subject} is dated to {value} now
      - historians now hold that {subject} was founded in {value}`,
    questions: `
      When was {subject} founded?
      In which year was {subject} founded?
      Since which year has {subject} stood?
      When was the first stone of {subject} laid?
      - In which year does the history of {subject} begin?
      - When was {subject} first built?`,
  },
  distance: {
    statements: `
      {subject} lies {value} miles from the coast
      it is {value} miles from the coast to {subject}
      the road from the coast to {subject} is {value} miles long
      one rides {value} miles from the coast to reach {subject}
      - {subject} is {value} miles away from the coast
      - between the coast and {subject} there are {value} miles`,
    updates: `
      measured anew, {subject} lies {value} miles from the coast
      by the new road it is {value} miles from the coast to {subject}
      - the surveyors put {subject} {value} miles from the coast`,
    questions: `
      How many miles is {subject} from the coast?
      How many miles is it from the coast to {subject}?
      How many miles does one ride from the coast to {subject}?
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
      - {value} runs {subject}
      - the guests of {subject} are served by {value}`,
    updates: `
      {subject} has a new landlord, {value}
      {value} has bought {subject} and runs it now
      - the inn {subject} is kept by {value} these days`,
    questions: `
      Who is the landlord of {subject}?
      Who keeps the inn called {subject}?
      Who runs {subject}?
      - By whom are the guests of {subject} served?
      - Who pours the ale at {subject}?`,
  },
};
