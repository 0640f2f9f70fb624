package main

import (
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// answer prints a command's answer: text, or the object when JSON is asked for.
func (p *program) answer(text string, object []byte) error {
	if p.json {
		_, err := p.stdout.Write(object)
		return err
	}
	_, err := fmt.Fprintln(p.stdout, text)
	return err
}

// object returns a JSON object of names and values in turn, as a line. Values
// are string, bool, uint64, float64 or jsontext.Value.
func object(pairs ...any) []byte {
	out := []byte{'{'}
	for i := 0; i < len(pairs); i += 2 {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(out, '"'), pairs[i].(string)...)
		out = append(out, `":`...)
		switch v := pairs[i+1].(type) {
		case string:
			out, _ = jsontext.AppendQuote(out, v) // what is not UTF-8 becomes U+FFFD
		case bool:
			out = strconv.AppendBool(out, v)
		case uint64:
			out = strconv.AppendUint(out, v, 10)
		case float64:
			out = strconv.AppendFloat(out, v, 'f', 3, 64)
		case jsontext.Value:
			out = append(out, v...)
		}
	}
	return append(out, "}\n"...)
}
