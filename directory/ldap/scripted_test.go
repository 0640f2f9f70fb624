package ldap_test

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"

	"github.com/rosterdb/roster/internal/dn"
)

// object is an entry of a scripted server.
type object struct {
	dn    string
	attrs map[string][]string // names in lower case
}

// scripted is a server that speaks LDAP as Active Directory does: pages, ranges of
// values, the matching rule for groups in groups, references to other partitions.
// It can be told to misbehave.
type scripted struct {
	t        testing.TB
	listener net.Listener

	mu       sync.Mutex
	objects  []*object // guarded by mu
	ranges   int       // guarded by mu: values an attribute is given at most at a time
	limit    int       // guarded by mu: entries after which a search ends with sizeLimitExceeded
	hangUp   int       // guarded by mu: pages after which the connection is cut
	refer    bool      // guarded by mu
	broken   bool      // guarded by mu: ranges come with a gap
	cutRange int       // guarded by mu: requests of a later range on which the connection is cut

	chained atomic.Int64
	search  atomic.Int64
	pages   atomic.Int64
}

func script(t testing.TB, objects ...*object) *scripted {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s := &scripted{t: t, listener: l, objects: objects, ranges: 150}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.serve(conn) })
			t.Cleanup(func() { conn.Close() })
		}
	})
	t.Cleanup(func() { l.Close() })
	return s
}

// set changes how the server behaves.
func (s *scripted) set(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
}

func (s *scripted) url() string { return "ldap://" + s.listener.Addr().String() }

func (s *scripted) serve(conn net.Conn) {
	defer conn.Close()
	for {
		packet, err := ber.ReadPacket(conn)
		if err != nil || len(packet.Children) < 2 {
			return
		}
		id, _ := packet.Children[0].Value.(int64)
		op := packet.Children[1]
		switch op.Tag {
		case 0: // bind
			send(conn, id, result(1, 0))
		case 3:
			if !s.answer(conn, id, op, packet) {
				return
			}
		default:
			return
		}
	}
}

func send(conn net.Conn, id int64, op *ber.Packet, controls ...*ber.Packet) {
	envelope := ber.NewSequence("LDAPMessage")
	envelope.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, "id"))
	envelope.AppendChild(op)
	for _, c := range controls {
		envelope.AppendChild(c)
	}
	_, _ = conn.Write(envelope.Bytes()) // whoever hung up reads no more
}

func result(tag ber.Tag, code int64) *ber.Packet {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "result")
	op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, "code"))
	op.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", "matched"))
	op.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", "text"))
	return op
}

const pagedOID = "1.2.840.113556.1.4.319"

// controls returns the page size and place of a request, -1 without paging, and
// whether referrals are to be left out.
func controls(packet *ber.Packet) (size, from int, scoped bool) {
	size = -1
	if len(packet.Children) < 3 {
		return size, 0, false
	}
	for _, c := range packet.Children[2].Children {
		switch c.Children[0].Data.String() {
		case pagedOID:
			value := ber.DecodePacket(c.Children[len(c.Children)-1].Data.Bytes())
			n, _ := value.Children[0].Value.(int64)
			size = int(n)
			from, _ = strconv.Atoi(value.Children[1].Data.String())
		case "1.2.840.113556.1.4.1339":
			scoped = true
		}
	}
	return size, from, scoped
}

// answer answers a search and reports whether the connection lives on.
func (s *scripted) answer(conn net.Conn, id int64, op, packet *ber.Packet) bool {
	s.search.Add(1)
	base, _ := dn.Normal(op.Children[0].Data.String())
	scope, _ := op.Children[1].Value.(int64)
	size, from, scoped := controls(packet)
	var found []*object
	s.mu.Lock()
	defer s.mu.Unlock()
	if asked := op.Children[7].Children; s.cutRange > 0 && len(asked) > 0 && strings.Contains(asked[0].Data.String(), ";range=") {
		s.cutRange--
		return false
	}
	for _, o := range s.objects {
		normal, _ := dn.Normal(o.dn)
		if (normal == base || scope == 2 && strings.HasSuffix(normal, "\x00"+base)) && s.matches(op.Children[6], o) {
			found = append(found, o)
		}
	}
	if scope == 0 && len(found) == 0 {
		send(conn, id, result(5, 32))
		return true
	}
	to, cookie := len(found), ""
	if size >= 0 && from+size < to {
		to = from + size
		cookie = strconv.Itoa(to)
	}
	for n, o := range found[from:to] {
		if s.limit > 0 && from+n >= s.limit {
			send(conn, id, result(5, 4))
			return true
		}
		send(conn, id, s.entry(o, op.Children[7]))
	}
	if scope == 2 && s.pages.Add(1) == int64(s.hangUp) {
		return false
	}
	if s.refer && !scoped {
		ref := ber.Encode(ber.ClassApplication, ber.TypeConstructed, 19, nil, "reference")
		ref.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "ldap://other.example/DC=other", "url"))
		send(conn, id, ref)
	}
	send(conn, id, result(5, 0), pageControl(cookie))
	return true
}

func pageControl(cookie string) *ber.Packet {
	value := ber.NewSequence("value")
	value.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, int64(0), "size"))
	value.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, cookie, "cookie"))
	control := ber.NewSequence("control")
	control.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, pagedOID, "type"))
	control.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, string(value.Bytes()), "value"))
	all := ber.Encode(ber.ClassContext, ber.TypeConstructed, 0, nil, "controls")
	all.AppendChild(control)
	return all
}

// entry writes an object with the attributes that are asked for, long ones in
// ranges.
func (s *scripted) entry(o *object, asked *ber.Packet) *ber.Packet {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, 4, nil, "entry")
	op.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, o.dn, "dn"))
	list := ber.NewSequence("attributes")
	for _, a := range asked.Children {
		name, option, ranged := strings.Cut(a.Data.String(), ";range=")
		values := o.attrs[strings.ToLower(name)]
		low := 0
		if ranged {
			first, _, _ := strings.Cut(option, "-")
			low, _ = strconv.Atoi(first)
		}
		if len(values) <= low {
			continue
		}
		values = values[low:]
		switch {
		case len(values) > s.ranges:
			values = values[:s.ranges]
			shown := low
			if s.broken && low > 0 {
				shown++
			}
			name = fmt.Sprintf("%s;range=%d-%d", name, shown, shown+len(values)-1)
		case ranged:
			name = fmt.Sprintf("%s;range=%d-*", name, low)
		}
		attribute := ber.NewSequence("attribute")
		attribute.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, name, "type"))
		set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "values")
		for _, v := range values {
			set.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, v, "value"))
		}
		attribute.AppendChild(set)
		list.AppendChild(attribute)
	}
	op.AppendChild(list)
	return op
}

// matches decides about a filter.
func (s *scripted) matches(f *ber.Packet, o *object) bool {
	all := func(p *ber.Packet) bool { return s.matches(p, o) }
	switch f.Tag {
	case 0:
		return !slices.ContainsFunc(f.Children, func(p *ber.Packet) bool { return !all(p) })
	case 1:
		return slices.ContainsFunc(f.Children, all)
	case 2:
		return !all(f.Children[0])
	case 3:
		return hasValue(o, f.Children[0].Data.String(), f.Children[1].Data.String())
	case 7:
		name := strings.ToLower(f.Data.String())
		return name == "objectclass" || len(o.attrs[name]) > 0
	case 9:
		s.chained.Add(1)
		value := ""
		for _, c := range f.Children {
			if c.Tag == 3 {
				value = c.Data.String()
			}
		}
		return s.holds(o, value, map[*object]bool{})
	}
	s.t.Errorf("the script does not know filter %d", f.Tag)
	return false
}

func hasValue(o *object, name, value string) bool {
	return slices.ContainsFunc(o.attrs[strings.ToLower(name)], func(v string) bool { return strings.EqualFold(v, value) })
}

// holds reports whether a group has a member at any depth.
func (s *scripted) holds(g *object, member string, seen map[*object]bool) bool {
	if seen[g] {
		return false
	}
	seen[g] = true
	if hasValue(g, "member", member) {
		return true
	}
	for _, o := range s.objects {
		if hasValue(g, "member", o.dn) && len(o.attrs["member"]) > 0 && s.holds(o, member, seen) {
			return true
		}
	}
	return false
}
