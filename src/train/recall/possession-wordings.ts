/**
 * How facts about what people own and keep to themselves are told, told anew, and asked for.
 *
 * As in people-wordings.ts: a line that begins with `-` is held out.
 */

import type { Wordings } from "./people-wordings.ts";

/** Names a kind of facts about what people own. */
export type PossessionFact = "code" | "locker" | "pet" | "password" | "instrument";

export const possessionWordings: { readonly [Name in PossessionFact]: Wordings } = {
  code: {
    statements: `
      the secret code of {subject} is {value}
      {subject} was given the secret code {value}
      {value} is the secret code of {subject}
      {subject} chose {value} as a secret code
      the code word of {subject} is nothing but the numbers {value}
      whoever wants to open the safe of {subject} needs the code {value}
      {subject} opens the safe with the code {value}
      the numbers {value} are the secret code of {subject}
      the secret code {value} was entrusted to {subject}
      {subject} remembers the secret code, {value}, without writing it down
      the notebook gives {value} as the secret code of {subject}
      {subject} typed the code {value}, and the safe sprang open
      the safe that {subject} owns answers only to {value}
      only {subject} knows that the secret code is {value}
      the lock obeyed {subject} as soon as the code {value} was entered
      - {subject} keeps {value} as the secret code
      - for {subject} the secret code was set to {value}
      - the secret code that belongs to {subject} reads {value}`,
    updates: `
      the secret code of {subject} was changed to {value}
      {subject} has a new secret code, which is {value}
      the secret code of {subject} is no longer the old one but {value}
      {subject} thought of a better secret code, {value}
      - since this morning the secret code of {subject} is {value}`,
    questions: `
      What is the secret code of {subject}?
      Which secret code does {subject} have?
      What secret code was {subject} given?
      With which code does {subject} open the safe?
      Can you tell me the secret code of {subject}?
      Tell me the secret code of {subject}.
      What code opens the safe of {subject}?
      What did {subject} choose as a secret code?
      Which code does the safe of {subject} answer to?
      Which code was entrusted to {subject}?
      What is the code of {subject}?
      - Which numbers make up the secret code of {subject}?
      - {subject} has a secret code: what is it?`,
  },
  locker: {
    statements: `
      the locker of {subject} is number {value}
      {subject} keeps everything in locker {value}
      locker number {value} belongs to {subject}
      {subject} has the key to locker {value}
      {subject} was given locker {value} at the station
      the coat of {subject} hangs in locker {value}
      locker {value} was set aside for {subject}
      {subject} left the luggage in locker {value}
      the porter led {subject} to locker number {value}
      the boots of {subject} are locked away in number {value}
      {subject} pays every month for locker {value}
      behind the door of locker {value} are the things of {subject}
      the list at the station has {subject} down for locker {value}
      - {subject} rents locker number {value}
      - the number on the locker of {subject} is {value}`,
    updates: `
      {subject} has moved everything to locker {value}
      from now on the locker of {subject} is number {value}
      {subject} handed the old key back and has locker {value} now
      the station gave {subject} locker {value} instead
      - {subject} was given another locker, number {value}`,
    questions: `
      What is the number of the locker of {subject}?
      Which locker does {subject} have?
      Which locker belongs to {subject}?
      In which locker are the things of {subject}?
      Where does {subject} keep the luggage?
      Which locker was {subject} given?
      What is the locker number of {subject}?
      In which locker does the coat of {subject} hang?
      Tell me the number of the locker that {subject} has.
      Which locker does {subject} pay for?
      - What number is on the locker of {subject}?
      - To which locker does {subject} have the key?`,
  },
  pet: {
    statements: `
      {subject} has a dog called {value}
      the dog of {subject} is named {value}
      {subject} named the dog {value}
      {value} is the name of the dog that {subject} keeps
      {subject} never goes out without {value}, a little dog
      the dog that follows {subject} everywhere answers to {value}
      {subject} whistles, and the dog {value} comes running
      {subject} bought a dog and called it {value}
      at night {value}, the dog of {subject}, guards the house
      {value} is a dog, and belongs to {subject}
      {subject} shares the bread with the dog {value}
      the only friend of {subject} is a dog by the name of {value}
      every morning {subject} takes {value} for a walk, a dog without manners
      {value} barks when {subject} comes home, as a good dog does
      - {subject} calls the dog {value}
      - the dog at the heels of {subject} goes by the name of {value}`,
    updates: `
      {subject} has given the dog a new name, {value}
      {subject} has another dog now, called {value}
      the old dog is gone, and {subject} keeps one called {value}
      {subject} calls the dog {value} now
      - the dog of {subject} is called {value} from today`,
    questions: `
      What is the name of the dog of {subject}?
      What is the dog of {subject} called?
      Which name did {subject} give the dog?
      What does {subject} call the dog?
      Tell me the name of the dog of {subject}.
      What is the name of the dog that {subject} has?
      What name does the dog of {subject} have?
      Which dog belongs to {subject}?
      What did {subject} name the dog?
      Who barks when {subject} comes home?
      What dog does {subject} take for a walk?
      - To which name does the dog of {subject} answer?
      - How is the dog that {subject} keeps named?`,
  },
  password: {
    statements: `
      the password of {subject} is {value}
      {subject} whispered the password, {value}
      {subject} chose the words {value} as a password
      {value} is the password that {subject} uses
      the gate opens for {subject} at the words {value}
      {subject} always gives the password {value} at the door
      {subject} was told to say {value} as the password
      {subject} muttered {value}, which was the password
      no guard lets {subject} pass without the words {value}
      the words {value} are all that {subject} has for a password
      {subject} wrote the password {value} on a slip of paper
      the club knows {subject} by the password {value}
      to be let in {subject} must say {value}
      {subject} and the guard agreed on the password {value}
      - the password that {subject} picked is {value}
      - {subject} gets in with the password {value}`,
    updates: `
      {subject} has changed the password to {value}
      the new password of {subject} is {value}
      the password of {subject} was betrayed, and is {value} since then
      {subject} was given another password, {value}
      - the old password of {subject} was replaced by {value}`,
    questions: `
      What is the password of {subject}?
      Which password does {subject} use?
      What password did {subject} choose?
      Which words are the password of {subject}?
      Tell me the password of {subject}.
      Which password does {subject} give at the door?
      What must {subject} say to be let in?
      What words does {subject} use as a password?
      Which password was {subject} told to say?
      What was the password that {subject} wrote down?
      For which words does the gate open to {subject}?
      - With which password does {subject} get in?
      - What does {subject} say at the gate?`,
  },
  instrument: {
    statements: `
      {subject} plays the {value}
      {subject} is learning to play the {value}
      the instrument of {subject} is the {value}
      {subject} practises the {value} every evening
      in the orchestra {subject} plays the {value}
      nobody plays the {value} as well as {subject}
      {subject} owns a {value} and plays it at weddings
      {subject} brought the {value} along and played until midnight
      the neighbours hear {subject} at the {value} all night
      {subject} earned applause with the {value}
      from a child {subject} has played the {value}
      {subject} carries the {value} to every concert
      the {value} is all that {subject} ever wanted to play
      when {subject} plays, it is always the {value}
      - {subject} is a master of the {value}
      - {subject} can be heard practising the {value}`,
    updates: `
      {subject} has given up the old instrument for the {value}
      {subject} now plays the {value}
      {subject} sold the old instrument and bought a {value}
      the orchestra was short of players, and {subject} plays the {value} now
      - {subject} has turned to the {value}`,
    questions: `
      Which instrument does {subject} play?
      What does {subject} play in the orchestra?
      What is the instrument of {subject}?
      What instrument does {subject} play?
      Tell me which instrument {subject} plays.
      What does {subject} play at weddings?
      Which instrument does {subject} carry to the concert?
      What is {subject} learning to play?
      Which instrument do the neighbours hear {subject} play?
      What has {subject} played from a child?
      - Which instrument does {subject} practise?
      - Of which instrument is {subject} a master?`,
  },
};
