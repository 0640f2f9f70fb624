module github.com/rosterdb/roster/fuzz

go 1.26.0

require (
	github.com/rosterdb/roster v0.0.0
	golang.org/x/text v0.43.0
	pgregory.net/rapid v1.3.0
)

replace github.com/rosterdb/roster => ../
