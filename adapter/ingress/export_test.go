package ingress

// What the tests see of the inside.
var (
	ParseBody = parseBody
	ParseForm = parseForm
)

type (
	Value  = value
	Params = params
)

func (p params) List(aliases ...string) []value { return p.list(aliases...) }

func (v value) Text() string           { return v.text }
func (v value) Bad() bool              { return v.bad }
func (v value) Number() (uint64, bool) { return v.number() }
