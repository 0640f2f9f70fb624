// Package crash kills a process that writes to an engine, over and over on the
// same folder, and looks after each kill whether every change that had been
// acknowledged is there and no change is half there.
//
// The process has several writers. Each owns a directory with users and groups,
// and organisations of these users, and changes nothing else, so that its work is
// a sequence: task n of writer w does the same thing whenever it is done, given
// what the tasks before it left behind. What would leave an organisation without
// an owner is refused whenever it is done. Every task also writes its number into a record of its writer, in the
// same Update. After a kill that number says how far the writer has come; it
// must be the last task acknowledged, or the one after it, and the writer's
// directory must be exactly what that many tasks make.
//
// Beside that all writers move tokens, users of a directory in common, between
// two groups. At any time each token is in one of the two.
package crash
