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
export type PeopleFact = "home" | "profession" | "colour" | "age" | "birthday" | "departure" | "teacher";

export const peopleWordings: { readonly [Name in PeopleFact]: Wordings } = {
  home: {
    statements: `
      {subject} lives in {value}
      the home of {subject} is in {value}
      {subject} has a house in {value}
      {value} is where {subject} lives
      {subject} settled in {value} long ago
      letters for {subject} are to be sent to {value}
      {subject} comes from {value} and still lives there
      the house of {subject} stands in {value}
      {subject} has never lived anywhere but in {value}
      {subject} can be visited in {value}
      in {value} everybody knows the house of {subject}
      {subject} went back to {value}, where the old house stands
      {subject} spends the winter at home in {value}
      the postman of {value} brings {subject} the letters
      {subject} bought a cottage in {value} and stayed
      - {subject} resides in {value}
      - one finds {subject} at home in {value}
      - the family of {subject} made {value} their home`,
    updates: `
      {subject} has moved to {value}
      {subject} left the old house and now lives in {value}
      {subject} sold the house and went to live in {value}
      since the spring {subject} has been living in {value}
      - the new home of {subject} is in {value}`,
    questions: `
      Where does {subject} live?
      In which town does {subject} live?
      Where is the home of {subject}?
      What is the name of the town where {subject} lives?
      Where is the house of {subject}?
      What town does {subject} live in?
      Which town is the home of {subject}?
      Where can {subject} be visited?
      In what town did {subject} settle?
      Tell me where {subject} lives.
      From where does {subject} come?
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
      {subject} found work as a {value}
      {subject} spent a lifetime as a {value}
      the sign over the door says that {subject} is a {value}
      {subject} is known to everyone as a {value}
      {subject} took over the shop and became a {value}
      like the father before, {subject} is a {value}
      {subject}, a {value}, rises before the sun
      {subject} gets up early, as every {value} does
      - by profession {subject} is a {value}
      - {subject} makes a living as the {value} of the district
      - nobody was surprised when {subject} turned out to be a {value}`,
    updates: `
      {subject} has given up the old trade and become a {value}
      {subject} now works as a {value}
      {subject} found other work, as a {value}
      {subject} went back to school and is a {value} today
      - these days {subject} is a {value}`,
    questions: `
      What is the profession of {subject}?
      What does {subject} do for a living?
      What does {subject} work as?
      What is {subject} by trade?
      What is the trade of {subject}?
      What kind of work does {subject} do?
      As what does {subject} work?
      What did {subject} learn to be?
      Tell me the profession of {subject}.
      What has {subject} been for many years?
      In what trade is {subject}?
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
      nothing pleases {subject} more than {value}
      {subject} buys everything in {value}
      {subject} had the whole house painted {value}, for no colour is dearer to {subject}
      {subject} always asks for the colour {value}
      the colour dearest to {subject} is {value}
      {value} is the colour that {subject} loves
      {subject} cannot resist anything {value}
      everything that {subject} owns is {value}
      - {subject} prefers {value} to every other colour
      - if {subject} may choose a colour, it is {value}`,
    updates: `
      {subject} has tired of the old colour and now likes {value} best
      the favourite colour of {subject} is {value} now
      {subject} has come to like {value} more than the colour of before
      {value} has become the favourite colour of {subject}
      - lately {subject} prefers {value}`,
    questions: `
      What is the favourite colour of {subject}?
      Which colour does {subject} like best?
      Which colour does {subject} love most?
      What colour would {subject} choose?
      What is the colour that {subject} loves?
      Tell me the favourite colour of {subject}.
      Which colour is dearest to {subject}?
      In which colour does {subject} buy everything?
      What colour pleases {subject} most?
      Which colour does {subject} wear?
      What colour did {subject} paint the doors?
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
      {subject} will be {value} years old until the next birthday
      there were {value} candles on the cake of {subject}
      the papers give the age of {subject} as {value}
      at {value} years {subject} still climbs the hill every day
      {subject} has lived for {value} years
      {subject} admitted to being {value} years old
      nobody would think that {subject} is already {value}
      - {subject} has reached the age of {value}
      - it is {value} years since {subject} was born`,
    updates: `
      the papers were wrong, and {subject} is {value} years old
      {subject} has had another birthday and is {value} now
      {subject} had counted wrongly, and is {value} years old
      a year has gone by, and {subject} is {value} years old now
      - the true age of {subject} turned out to be {value}`,
    questions: `
      How old is {subject}?
      What is the age of {subject}?
      How many years old is {subject}?
      What age is {subject}?
      For how many years has {subject} lived?
      Tell me how old {subject} is.
      How many candles were on the cake of {subject}?
      What do the papers give as the age of {subject}?
      How old did {subject} turn?
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
      the family of {subject} comes together on {value}, for the birthday
      {subject} first saw the light on {value}
      the baptism register names {value} as the day when {subject} was born
      {subject} gets presents on {value}
      on {value} {subject} grows a year older
      {subject} never works on {value}, being born on that day
      the birth of {subject} was on {value}
      - {subject} came into the world on {value}
      - every year {subject} has a birthday on {value}`,
    updates: `
      the register says that {subject} was really born on {value}
      the birthday of {subject} was corrected to {value}
      the old date was a mistake, for {subject} was born on {value}
      from now on {subject} celebrates the birthday on {value}
      - it turned out that the birthday of {subject} falls on {value}`,
    questions: `
      When is the birthday of {subject}?
      When was {subject} born?
      On which day does {subject} celebrate a birthday?
      What is the date of birth of {subject}?
      On what day was {subject} born?
      Tell me the birthday of {subject}.
      On what day does {subject} get presents?
      What is the birthday of {subject}?
      When does {subject} grow a year older?
      - On which date did {subject} come into the world?
      - Which day is the birthday of {subject}?`,
  },
  departure: {
    statements: `
      {subject} leaves on {value}
      the train of {subject} departs on {value}
      {subject} has a ticket for {value}
      {subject} means to set out on {value}
      {subject} will be gone on {value}
      the coach that takes {subject} away comes on {value}
      {subject} goes on a journey on {value}
      {subject} has packed, and will be off on {value}
      the ship with {subject} on board weighs anchor on {value}
      {subject} said goodbye, for the journey begins on {value}
      a carriage was ordered for {subject} for {value}
      {subject} sails on {value}
      {subject} means to start on {value}
      one must see {subject} before {value}, when the train goes
      - {subject} plans to depart on {value}
      - the departure of {subject} is fixed for {value}`,
    updates: `
      {subject} has put the departure off until {value}
      {subject} changed the ticket and now leaves on {value}
      {subject} missed the train and goes on {value} instead
      the journey of {subject} begins later, on {value}
      - the departure of {subject} was moved to {value}`,
    questions: `
      When does {subject} leave?
      When does the train of {subject} depart?
      For when does {subject} have a ticket?
      When will {subject} set out?
      Tell me when {subject} leaves.
      When does {subject} go on the journey?
      When does the journey of {subject} begin?
      At what time does {subject} set out?
      When will {subject} be gone?
      For when was a carriage ordered for {subject}?
      On which day, and when, does {subject} sail?
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
      all that {subject} knows comes from {value}
      {value} was the teacher of {subject}
      {value} had {subject} as a pupil
      {subject} sat at the feet of {value}
      {subject} studied under {value}
      {subject} owes everything to the lessons of {value}
      it is {value} whom {subject} has to thank for an education
      the parents sent {subject} to {value} to be taught
      - {subject} learned everything from {value}
      - it was {value} who instructed {subject}`,
    updates: `
      {subject} has found a new teacher in {value}
      {subject} now takes lessons from {value}
      {value} has taken {subject} on as a new pupil
      {subject} left the old teacher and studies under {value}
      - from this year on {subject} is taught by {value}`,
    questions: `
      Who taught {subject}?
      Who is the teacher of {subject}?
      Whose pupil was {subject}?
      From whom did {subject} take lessons?
      Who was the teacher of {subject}?
      Who gave lessons to {subject}?
      Tell me the name of the teacher of {subject}.
      Under whom did {subject} study?
      To whom was {subject} sent to be taught?
      Who had {subject} as a pupil?
      By whom was {subject} taught?
      - Who instructed {subject}?
      - From whom did {subject} learn everything?`,
  },
};
