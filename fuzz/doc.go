// Package fuzz holds the engine to a plain model of itself.
//
//   - model says, in Go maps and loops, what every call should answer;
//   - machine does random things to an engine and to the model and compares
//     them, in memory and on disk, under many options;
//   - crash kills a process that writes, over and over, and looks whether
//     everything it was told is durable is there and nothing is half there;
//   - cmd/campaign and cmd/crash run the two for as long as wanted.
//
// The tests of this package are their short forms, and the fuzz targets of
// everything that reads text or bytes from outside.
package fuzz
