package markup

import (
	"errors"
	"fmt"
	"strings"
	"text/template/parse"
)

// A place is where in HTML a piece of a template stands.
type place struct {
	in   where
	elem string // whose tag or text it is, as far as that matters
	attr string // whose value it is
	part part   // of an address
}

type where int

const (
	between where = iota // tags
	words                // an element that has no tags in it: title, textarea
	style                // a style sheet
	tag                  // a tag, not a value in it
	value                // an attribute's
	address              // an attribute's that leads somewhere
)

type part int

const (
	start   part = iota // where a scheme could stand
	early               // behind that, before a question mark
	query               // behind one, or behind a #
	unknown             // behind something shown at the start
)

// find notes the place of all that the template shows. Each begins and ends
// between tags, so that it can stand wherever another is.
func (s *Set) find(t *parse.Tree) error {
	end, err := s.list(t.Root, place{})
	if err == nil && end != (place{}) {
		err = errors.New("it ends within a tag or an element")
	}
	return err
}

// list follows the place through nodes, and returns the one behind them.
func (s *Set) list(l *parse.ListNode, at place) (place, error) {
	if l == nil {
		return at, nil
	}
	for _, node := range l.Nodes {
		var err error
		switch n := node.(type) {
		case *parse.TextNode:
			at, err = follow(string(n.Text), at)
		case *parse.ActionNode:
			at, err = s.shown(n, at)
		case *parse.IfNode:
			at, err = s.branches(n.List, n.ElseList, at)
		case *parse.WithNode:
			at, err = s.branches(n.List, n.ElseList, at)
		case *parse.RangeNode:
			var end place
			if end, err = s.branches(n.List, n.ElseList, at); err == nil && end != at {
				err = errors.New("it ends elsewhere than it begins")
			}
		case *parse.TemplateNode:
			if s.trees[n.Name] == nil {
				err = errors.New("there is no such template")
			} else if at != (place{}) {
				err = errors.New("it is within a tag")
			}
		default:
			err = errors.New("it is not known here")
		}
		if err != nil {
			return at, fmt.Errorf("%.60q: %w", node, err)
		}
	}
	return at, nil
}

// branches follows both; they must end in the same place.
func (s *Set) branches(a, b *parse.ListNode, at place) (place, error) {
	endA, err := s.list(a, at)
	if err != nil {
		return at, err
	}
	endB, err := s.list(b, at)
	if err == nil && endA != endB {
		err = errors.New("its branches end in different places")
	}
	return endA, err
}

// shown notes the place of a value and returns the one behind it.
func (s *Set) shown(n *parse.ActionNode, at place) (place, error) {
	if len(n.Pipe.Decl) > 0 { // it shows nothing
		return at, nil
	}
	s.places[n] = at
	switch {
	case at.in == tag:
		return at, errors.New("it is within a tag, and not the value of an attribute")
	case (at.in == value || at.in == address) && runs(at.attr):
		return at, fmt.Errorf("nothing can be shown in the attribute %s", at.attr)
	case at.in == address && at.part == unknown:
		return at, errors.New("what stands before it in the address is not known")
	case at.in == address && at.part == start:
		at.part = unknown
	}
	return at, nil
}

// follow returns the place behind text.
func follow(text string, at place) (place, error) {
	if at.in == tag && text != "" && !strings.ContainsRune(" \t\r\n/>", rune(text[0])) {
		return at, errors.New("the name of a tag or of an attribute goes on")
	}
	for text != "" {
		var err error
		if at, text, err = step(text, at); err != nil {
			return at, err
		}
	}
	return at, nil
}

// step goes to the next change of the place, and returns what is behind it.
func step(text string, at place) (place, string, error) {
	switch at.in {
	case between:
		return open(text)
	case words, style:
		end := "</" + at.elem
		before, rest, found := strings.Cut(text, end)
		if !found {
			return at, text[len(before):], nil
		}
		return place{in: tag, elem: "/" + at.elem}, rest, nil
	case value, address:
		before, rest, found := strings.Cut(text, `"`)
		if !found {
			return at.after(before), "", nil
		}
		return place{in: tag, elem: at.elem}, rest, nil
	}
	return inTag(text, at)
}

// after is the place in an address behind more of it.
func (at place) after(literal string) place {
	switch {
	case at.in != address || literal == "" || at.part == query:
	case strings.ContainsAny(literal, "?#"):
		at.part = query
	case at.part == start:
		at.part = early
	}
	return at
}

// open finds the next tag.
func open(text string) (place, string, error) {
	_, rest, found := strings.Cut(text, "<")
	switch {
	case !found:
		return place{}, "", nil
	case len(rest) > 8 && strings.EqualFold(rest[:8], "!doctype"):
		_, rest, _ = strings.Cut(rest, ">")
		return place{}, rest, nil
	}
	name := rest[:len(rest)-len(strings.TrimLeft(rest, "/abcdefghijklmnopqrstuvwxyz0123456789"))]
	if strings.Trim(name, "/") == "" || name == "script" {
		return place{}, "", fmt.Errorf("no tag of a page begins with %.10q", "<"+rest)
	}
	return place{in: tag, elem: name}, rest[len(name):], nil
}

// inTag finds the end of the tag, or the value of an attribute.
func inTag(text string, at place) (place, string, error) {
	text = strings.TrimLeft(text, " \t\r\n/")
	if text == "" {
		return at, "", nil
	}
	if rest, ends := strings.CutPrefix(text, ">"); ends {
		switch at.elem {
		case "title", "textarea":
			return place{in: words, elem: at.elem}, rest, nil
		case "style":
			return place{in: style, elem: at.elem}, rest, nil
		}
		return place{}, rest, nil
	}
	name := text[:len(text)-len(strings.TrimLeft(text, "abcdefghijklmnopqrstuvwxyz0123456789-"))]
	text = text[len(name):]
	if name == "" {
		return at, "", fmt.Errorf("no attribute begins with %.10q", text)
	}
	rest, valued := strings.CutPrefix(text, "=")
	if !valued {
		return at, text, nil
	}
	if rest, valued = strings.CutPrefix(rest, `"`); !valued {
		return at, "", fmt.Errorf("the value of %s has no double quote before it", name)
	}
	at = place{in: value, elem: at.elem, attr: name}
	if leads(name) {
		at.in = address
	}
	return at, rest, nil
}

// runs reports whether an attribute runs or styles something, or holds what is read
// by rules of its own.
func runs(name string) bool {
	name = strings.TrimPrefix(name, "data-")
	return strings.HasPrefix(name, "on") || name == "style" || strings.HasSuffix(name, "srcset") || name == "srcdoc"
}

// leads reports whether an attribute holds an address. What html/template guesses by
// its name is guessed here, too.
func leads(name string) bool {
	name = strings.TrimPrefix(name, "data-")
	if strings.Contains(name, "src") || strings.Contains(name, "uri") || strings.Contains(name, "url") {
		return true
	}
	switch name {
	case "href", "action", "formaction", "cite", "data", "poster", "manifest", "ping", "background",
		"archive", "classid", "codebase", "icon", "longdesc", "profile", "usemap":
		return true
	}
	return false
}
