package main

import (
	"bytes"
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
// are string, bool, uint64, float64, []string or jsontext.Value.
func object(pairs ...any) []byte { return extend([]byte("{}\n"), pairs...) }

// extend adds names and values to a JSON object that stands on a line.
func extend(line []byte, pairs ...any) []byte {
	out := line[:len(line)-len("}\n")]
	for i := 0; i < len(pairs); i += 2 {
		if out[len(out)-1] != '{' {
			out = append(out, ',')
		}
		out = append(append(out, '"'), pairs[i].(string)...)
		out = append(out, `":`...)
		switch v := pairs[i+1].(type) {
		case string:
			out, _ = jsontext.AppendQuote(out, v) // what is not UTF-8 becomes U+FFFD
		case []string:
			out = append(out, list(v, func(s string) []byte {
				quoted, _ := jsontext.AppendQuote(nil, s)
				return quoted
			})...)
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

// list returns a JSON array of what one returns for each.
func list[T any](all []T, one func(T) []byte) []byte {
	out := []byte{'['}
	for i, v := range all {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, bytes.TrimSuffix(one(v), []byte{'\n'})...)
	}
	return append(out, ']')
}
