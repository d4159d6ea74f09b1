package card

import "fmt"

// A Gate is what a card says to those who ask to read a gated repository. What
// it does not say is "".
type Gate struct {
	Heading, Description, Prompt, Button string
	Questions                            []Question
}

// A Question is a field of the form in which one asks. Its kind is text,
// checkbox, date or select, which has options; a kind that is not known is text.
type Question struct {
	Name, Kind string
	Options    []string
}

const maxQuestions = 50

// Gate reads the extra_gated keys, the questions in their order. What is not
// as it should be is left out: a person must be able to ask anyway.
func (c Card) Gate() Gate {
	data, err := c.Data()
	if err != nil {
		return Gate{}
	}
	g := Gate{
		Heading: text(data, "extra_gated_heading"), Description: text(data, "extra_gated_description"),
		Prompt: text(data, "extra_gated_prompt"), Button: text(data, "extra_gated_button_content"),
	}
	fields, _ := c.ordered("extra_gated_fields") // read without an error just now
	pairs, _ := fields.(Pairs)
	for _, p := range pairs[:min(len(pairs), maxQuestions)] {
		g.Questions = append(g.Questions, question(p))
	}
	return g
}

func question(p Pair) Question {
	q := Question{Name: p.Key, Kind: fmt.Sprint(p.Value)}
	if more, ok := p.Value.(Pairs); ok {
		q.Kind = fmt.Sprint(more.get("type"))
		list, _ := more.get("options").([]any)
		for _, o := range list[:min(len(list), maxQuestions)] {
			if pairs, ok := o.(Pairs); ok { // label and value
				o = pairs.get("label")
			}
			q.Options = append(q.Options, fmt.Sprint(o))
		}
	}
	switch {
	case q.Kind == "date_picker":
		q.Kind = "date"
	case q.Kind == "checkbox", q.Kind == "select" && len(q.Options) > 0:
	default:
		q.Kind = "text"
	}
	return q
}
