/**
 * How facts about people are told, told anew, and asked for. `{subject}` and `{value}` are filled in.
 *
 * A line that begins with `-` is held out: it is never trained on.
 */

/** Holds the wordings of one kind of fact, one a line. */
export interface Wordings {
  /** Tell a fact; clauses that can follow "it is known that". */
  readonly statements: string;
  /** Tell that the fact has changed. */
  readonly updates: string;
  readonly questions: string;
}

/** Names a kind of facts about people. */
export type PeopleFact =
  | "code"
  | "locker"
  | "home"
  | "profession"
  | "colour"
  | "age"
  | "birthday"
  | "pet"
  | "password"
  | "instrument"
  | "departure"
  | "teacher";

export const peopleWordings: { readonly [Name in PeopleFact]: Wordings } = {
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
      - {subject} keeps {value} as the secret code
      - for {subject} the secret code was set to {value}
      - the secret code that belongs to {subject} reads {value}`,
    updates: `
      the secret code of {subject} was changed to {value}
      {subject} has a new secret code, which is {value}
      - since this morning the secret code of {subject} is {value}`,
    questions: `
      What is the secret code of {subject}?
      Which secret code does {subject} have?
      What secret code was {subject} given?
      With which code does {subject} open the safe?
      Can you tell me the secret code of {subject}?
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
      - {subject} rents locker number {value}
      - the number on the locker of {subject} is {value}`,
    updates: `
      {subject} has moved everything to locker {value}
      from now on the locker of {subject} is number {value}
      - {subject} was given another locker, number {value}`,
    questions: `
      What is the number of the locker of {subject}?
      Which locker does {subject} have?
      Which locker belongs to {subject}?
      In which locker are the things of {subject}?
      - What number is on the locker of {subject}?
      - To which locker does {subject} have the key?`,
  },
  home: {
    statements: `
      {subject} lives in {value}
      the home of {subject} is in {value}
      {subject} has a house in {value}
      {value} is where {subject} lives
      {subject} settled in {value} long ago
      letters for {subject} are to be sent to {value}
      {subject} comes from {value} and still lives there
      - {subject} resides in {value}
      - one finds {subject} at home in {value}
      - the family of {subject} made {value} their home`,
    updates: `
      {subject} has moved to {value}
      {subject} left the old house and now lives in {value}
      - the new home of {subject} is in {value}`,
    questions: `
      Where does {subject} live?
      In which town does {subject} live?
      Where is the home of {subject}?
      What is the name of the town where {subject} lives?
      - To which town are letters for {subject} sent?
      - In which place would one find {subject} at home?`,
  },
  profession: {
    statements: `
      {subject} works as a {value}
      {subject} is a {value} by trade
      {subject} earns a living as a {value}
      {subject} has been a {value} for many years
      the trade of {subject} is that of a {value}
      {subject} learned to be a {value}
      people call on {subject} when they need a {value}
      - by profession {subject} is a {value}
      - {subject} makes a living as the {value} of the district
      - nobody was surprised when {subject} turned out to be a {value}`,
    updates: `
      {subject} has given up the old trade and become a {value}
      {subject} now works as a {value}
      - these days {subject} is a {value}`,
    questions: `
      What is the profession of {subject}?
      What does {subject} do for a living?
      What does {subject} work as?
      What is {subject} by trade?
      - Which trade does {subject} follow?
      - How does {subject} earn a living?`,
  },
  colour: {
    statements: `
      the favourite colour of {subject} is {value}
      {subject} likes {value} better than any other colour
      {value} is the favourite colour of {subject}
      {subject} wears nothing but {value}
      {subject} painted every door {value}, the colour {subject} loves most
      of all colours {subject} loves {value} best
      - {subject} prefers {value} to every other colour
      - if {subject} may choose a colour, it is {value}`,
    updates: `
      {subject} has tired of the old colour and now likes {value} best
      the favourite colour of {subject} is {value} now
      - lately {subject} prefers {value}`,
    questions: `
      What is the favourite colour of {subject}?
      Which colour does {subject} like best?
      Which colour does {subject} love most?
      What colour would {subject} choose?
      - Which colour does {subject} prefer?
      - Of all colours, which one is the favourite of {subject}?`,
  },
  age: {
    statements: `
      {subject} is {value} years old
      {subject} has just turned {value} years old
      the age of {subject} is {value}
      {subject} celebrated a birthday and is {value} now
      {subject}, who is {value} years of age, walks to church every Sunday
      - {subject} has reached the age of {value}
      - it is {value} years since {subject} was born`,
    updates: `
      the papers were wrong, and {subject} is {value} years old
      {subject} has had another birthday and is {value} now
      - the true age of {subject} turned out to be {value}`,
    questions: `
      How old is {subject}?
      What is the age of {subject}?
      How many years old is {subject}?
      - Which age has {subject} reached?
      - How many years ago was {subject} born?`,
  },
  birthday: {
    statements: `
      {subject} was born on {value}
      the birthday of {subject} is {value}
      {subject} celebrates a birthday on {value}
      on {value} there is always cake for {subject}, whose birthday it is
      {value} is the birthday of {subject}
      - {subject} came into the world on {value}
      - every year {subject} has a birthday on {value}`,
    updates: `
      the register says that {subject} was really born on {value}
      the birthday of {subject} was corrected to {value}
      - it turned out that the birthday of {subject} falls on {value}`,
    questions: `
      When is the birthday of {subject}?
      When was {subject} born?
      On which day does {subject} celebrate a birthday?
      - On which date did {subject} come into the world?
      - Which day is the birthday of {subject}?`,
  },
  pet: {
    statements: `
      {subject} has a dog called {value}
      the dog of {subject} is named {value}
      {subject} named the dog {value}
      {value} is the name of the dog that {subject} keeps
      {subject} never goes out without {value}, a little dog
      the dog that follows {subject} everywhere answers to {value}
      - {subject} calls the dog {value}
      - the dog at the heels of {subject} goes by the name of {value}`,
    updates: `
      {subject} has given the dog a new name, {value}
      {subject} has another dog now, called {value}
      - the dog of {subject} is called {value} from today`,
    questions: `
      What is the name of the dog of {subject}?
      What is the dog of {subject} called?
      Which name did {subject} give the dog?
      What does {subject} call the dog?
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
      - the password that {subject} picked is {value}
      - {subject} gets in with the password {value}`,
    updates: `
      {subject} has changed the password to {value}
      the new password of {subject} is {value}
      - the old password of {subject} was replaced by {value}`,
    questions: `
      What is the password of {subject}?
      Which password does {subject} use?
      What password did {subject} choose?
      Which words are the password of {subject}?
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
      - {subject} is a master of the {value}
      - {subject} can be heard practising the {value}`,
    updates: `
      {subject} has given up the old instrument for the {value}
      {subject} now plays the {value}
      - {subject} has turned to the {value}`,
    questions: `
      Which instrument does {subject} play?
      What does {subject} play in the orchestra?
      What is the instrument of {subject}?
      - Which instrument does {subject} practise?
      - Of which instrument is {subject} a master?`,
  },
  departure: {
    statements: `
      {subject} leaves on {value}
      the train of {subject} departs on {value}
      {subject} has a ticket for {value}
      {subject} means to set out on {value}
      {subject} will be gone on {value}
      the coach that takes {subject} away comes on {value}
      - {subject} plans to depart on {value}
      - the departure of {subject} is fixed for {value}`,
    updates: `
      {subject} has put the departure off until {value}
      {subject} changed the ticket and now leaves on {value}
      - the departure of {subject} was moved to {value}`,
    questions: `
      When does {subject} leave?
      When does the train of {subject} depart?
      For when does {subject} have a ticket?
      When will {subject} set out?
      - For when is the departure of {subject} fixed?
      - When does {subject} plan to depart?`,
  },
  teacher: {
    statements: `
      {subject} was taught by {value}
      the teacher of {subject} is {value}
      {value} taught {subject} everything
      {subject} was a pupil of {value}
      {subject} took lessons from {value}
      - {subject} learned everything from {value}
      - it was {value} who instructed {subject}`,
    updates: `
      {subject} has found a new teacher in {value}
      {subject} now takes lessons from {value}
      - from this year on {subject} is taught by {value}`,
    questions: `
      Who taught {subject}?
      Who is the teacher of {subject}?
      Whose pupil was {subject}?
      From whom did {subject} take lessons?
      - Who instructed {subject}?
      - From whom did {subject} learn everything?`,
  },
};
