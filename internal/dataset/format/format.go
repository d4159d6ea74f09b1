// Package format tells by a data set's columns and first rows which ways of
// training a language model it is ready for, and what is missing for others.
//
// Its one rule: it judges what it is shown and nothing else, so the same rows
// always get the same verdict; names of columns to change are exact.
package format

import (
	"slices"
	"strings"
)

// A Method is a way of training.
type Method string

// The methods that are judged, by the trainers of TRL.
const (
	SFT    Method = "SFT"
	DPO    Method = "DPO"
	KTO    Method = "KTO"
	GRPO   Method = "GRPO"
	Reward Method = "reward model"
)

// A Rename is a column that must be called something else.
type Rename struct{ From, To string }

// A Verdict says whether the data fit a method as they are. If they do not,
// renames and notes make them fit, unless something is missing.
type Verdict struct {
	Method  Method
	Fits    bool
	Format  string   // what the data are, in the method's terms; "" if nothing of it
	Rename  []Rename // columns to rename first
	Convert []string // further changes that are needed, in words
	Missing []string // columns that no other can stand for
	Notes   []string // what to know
}

// Judge judges the data for every method. Rows are values of JSON.
func Judge(columns []string, rows []map[string]any) []Verdict {
	t := newTable(columns, rows)
	all := []Verdict{t.sft(), t.dpo(), t.kto(), t.grpo(), t.reward()}
	for i, v := range all {
		all[i].Fits = v.Format != "" && len(v.Rename)+len(v.Convert)+len(v.Missing) == 0
	}
	return all
}

// Names that columns go by for what a method wants.
var (
	promptNames     = []string{"prompt", "question", "instruction", "query", "problem", "input", "user_input"}
	completionNames = []string{"completion", "response", "output", "answer", "target", "solution", "reply", "assistant"}
	textNames       = []string{"text", "content", "document", "body", "article", "story", "code", "sentence"}
	chosenNames     = []string{"chosen", "chosen_response", "response_chosen", "preferred", "preferred_response", "accepted", "winner", "response_j", "better"}
	rejectedNames   = []string{"rejected", "rejected_response", "response_rejected", "dispreferred", "dispreferred_response", "loser", "response_k", "worse"}
	labelNames      = []string{"label", "labels", "is_desirable", "desirable", "thumbs_up", "is_good", "is_chosen", "feedback"}
	answerNames     = []string{"answer", "solution", "ground_truth", "expected_answer", "final_answer", "target", "reference", "gold", "label", "test_cases", "tests"}
)

// take finds the column that stands for one that is wanted and notes how it
// must be called. Kinds are what its values may be.
func (v *Verdict) take(t *table, want string, names []string, kinds ...kind) (column, bool) {
	c, ok := t.find(names, kinds...)
	if !ok {
		v.Missing = append(v.Missing, want)
		return c, false
	}
	if c.name != want {
		v.Rename = append(v.Rename, Rename{c.name, want})
	}
	v.fromText(c)
	v.shareGPT(c)
	return c, true
}

// fromText notes a conversation that is stored as JSON in a text.
func (v *Verdict) fromText(c column) {
	if c.kind == chat && c.chat.Text {
		v.Convert = append(v.Convert, "decode the JSON text in "+c.name+" into a list of messages")
	}
}

// shareGPT notes messages under the names of that format.
func (v *Verdict) shareGPT(c column) {
	if c.kind == chat && c.chat.RoleKey != "role" {
		v.Convert = append(v.Convert, "in "+c.name+" rename "+c.chat.RoleKey+" to role (human is user, gpt is assistant) and "+c.chat.ContentKey+" to content")
	}
}

func (t *table) sft() Verdict {
	v := Verdict{Method: SFT}
	if c, ok := t.conversation(); ok {
		v.Format = "conversations (messages)"
		if c.name != "messages" {
			v.Rename = append(v.Rename, Rename{c.name, "messages"})
		}
		v.fromText(c)
		if c.chat.RoleKey != "role" {
			v.Format = "conversations (ShareGPT)"
			v.shareGPT(c)
		}
		v.rolesOf(c.chat)
		return v
	}
	prompt, hasPrompt := t.find(promptNames, text, chat)
	completion, hasCompletion := t.find(completionNames, text, chat)
	if c, ok := t.find([]string{"text"}, text); ok && !(hasPrompt && hasCompletion && prompt.name == "prompt") {
		v.Format = "text"
		t.noteClasses(&v, c)
		return v
	}
	if hasPrompt && hasCompletion && prompt.name != completion.name {
		return t.pairs(v)
	}
	if c, ok := t.find(textNames, text); ok {
		v.Format, v.Rename = "text", []Rename{{c.name, "text"}}
		t.noteClasses(&v, c)
		return v
	}
	v.Missing = []string{"messages, or prompt and completion, or text"}
	return v
}

// pairs are prompts with completions, under these or Alpaca's names.
func (t *table) pairs(v Verdict) Verdict {
	prompt, _ := v.take(t, "prompt", promptNames, text, chat)
	completion, _ := v.take(t, "completion", completionNames, text, chat)
	v.Format = "prompt and completion"
	if prompt.name == "instruction" && completion.name == "output" {
		v.Format = "instructions (Alpaca)"
		if t.has("input", text) {
			v.Convert = append(v.Convert, "join input to the prompt where it is not empty")
		}
	}
	v.sameKind(prompt, completion)
	return v
}

// sameKind notes that a text stands beside conversations.
func (v *Verdict) sameKind(a, b column) {
	switch {
	case a.kind == text && b.kind == chat:
		v.Convert = append(v.Convert, `make of `+a.name+` a list with one message: [{"role": "user", "content": …}]`)
	case a.kind == chat && b.kind == text:
		v.Convert = append(v.Convert, `make of `+b.name+` a list with one message: [{"role": "assistant", "content": …}]`)
	}
}

func (t *table) noteClasses(v *Verdict, c column) {
	if label, ok := t.find([]string{"label", "labels", "category"}, truth, number, text); ok && label.name != c.name {
		v.Notes = append(v.Notes, "the column "+label.name+" speaks for classification: a classifier may be what is wanted")
	}
}

func (v *Verdict) rolesOf(c *Chat) {
	if !slices.Contains(c.Roles, "assistant") && !slices.Contains(c.Roles, "gpt") && !slices.Contains(c.Roles, "model") {
		v.Notes = append(v.Notes, "no message is from the assistant: there is nothing to learn to say; roles are "+strings.Join(c.Roles, ", "))
	}
	if c.Tools {
		v.Notes = append(v.Notes, "messages call tools: the chat template must know them, and a column tools should hold their schemas")
	}
}

func (t *table) dpo() Verdict {
	v := Verdict{Method: DPO}
	chosen, ok := v.take(t, "chosen", chosenNames, text, chat)
	rejected, ok2 := v.take(t, "rejected", rejectedNames, text, chat)
	if !ok && !ok2 {
		v.Missing = append([]string{"prompt"}, v.Missing...)
		if t.has("prompt", text, chat) {
			v.Missing = v.Missing[1:]
		}
		return v
	}
	if !ok || !ok2 {
		return v
	}
	if chosen.kind != rejected.kind {
		v.Convert = append(v.Convert, "make "+chosen.name+" and "+rejected.name+" the same: both texts, or both lists of messages")
	}
	v.Format = "preferences"
	t.prompt(&v, chosen, rejected)
	return v
}

// prompt looks for the prompt of preferences: in a column, or as what both
// answers begin with.
func (t *table) prompt(v *Verdict, chosen, rejected column) {
	implicit := t.shared(chosen, rejected)
	prompt, has := t.find(promptNames, text, chat)
	switch {
	case has && prompt.kind != chosen.kind && implicit:
		v.Format = "preferences with the prompt in both answers"
		v.Notes = append(v.Notes, "TRL takes the prompt from what chosen and rejected begin with, and leaves "+prompt.name+" aside")
	case has:
		v.Format = "preferences with a prompt"
		if prompt.name != "prompt" {
			v.Rename = append(v.Rename, Rename{prompt.name, "prompt"})
		}
		v.fromText(prompt)
		v.shareGPT(prompt)
		v.sameKind(prompt, chosen)
	case implicit:
		v.Format = "preferences with the prompt in both answers"
		v.Notes = append(v.Notes, "there is no column prompt: TRL takes what chosen and rejected begin with (extract_prompt)")
	default:
		v.Missing = append(v.Missing, "prompt")
	}
}

func (t *table) kto() Verdict {
	v := Verdict{Method: KTO}
	_, hasChosen := t.find(chosenNames, text, chat)
	_, hasRejected := t.find(rejectedNames, text, chat)
	if hasChosen && hasRejected {
		v = t.dpo()
		v.Method = KTO
		if v.Format != "" {
			v.Notes = append(v.Notes, "pairs are taken apart: chosen gets the label true, rejected false (unpair_preference_dataset)")
		}
		return v
	}
	prompt, ok := v.take(t, "prompt", promptNames, text, chat)
	completion, ok2 := v.take(t, "completion", completionNames, text, chat)
	label, ok3 := v.take(t, "label", labelNames, truth, number)
	if ok && ok2 {
		v.sameKind(prompt, completion)
	}
	if ok3 && label.kind == number {
		v.Convert = append(v.Convert, "make of "+label.name+" true or false")
	}
	if ok2 && ok3 {
		v.Format = "completions with a label"
	}
	return v
}

func (t *table) grpo() Verdict {
	v := Verdict{Method: GRPO}
	prompt, ok := t.find(promptNames, text, chat)
	if !ok {
		if c, isChat := t.conversation(); isChat {
			v.Format = "conversations"
			v.Convert = []string{"make a column prompt of " + c.name + " without the assistant's last message"}
			v.fromText(c)
			v.shareGPT(c)
			t.noteAnswer(&v, c.name)
			return v
		}
		v.Missing = []string{"prompt"}
		return v
	}
	v.Format = "prompts"
	if prompt.name != "prompt" {
		v.Rename = []Rename{{prompt.name, "prompt"}}
	}
	v.fromText(prompt)
	v.shareGPT(prompt)
	if prompt.kind == chat && prompt.chat.LastRole == "assistant" {
		v.Convert = append(v.Convert, "take the assistant's last message off "+prompt.name)
	}
	t.noteAnswer(&v, prompt.name)
	return v
}

func (t *table) noteAnswer(v *Verdict, prompt string) {
	for _, name := range answerNames {
		if c, ok := t.find([]string{name}, text, number, truth, list, other); ok && c.name != prompt {
			v.Format += " with a reference"
			v.Notes = append(v.Notes, "reward functions get the column "+c.name+" as an argument of that name")
			return
		}
	}
	v.Notes = append(v.Notes, "there is no reference answer: reward functions must judge the completions by themselves")
}

func (t *table) reward() Verdict {
	v := Verdict{Method: Reward}
	chosen, ok := v.take(t, "chosen", chosenNames, text, chat)
	rejected, ok2 := v.take(t, "rejected", rejectedNames, text, chat)
	if !ok || !ok2 {
		return v
	}
	v.Format = "preferences"
	if chosen.kind != rejected.kind {
		v.Convert = append(v.Convert, "make "+chosen.name+" and "+rejected.name+" the same: both texts, or both lists of messages")
	}
	if prompt, has := t.find(promptNames, text, chat); has && !t.shared(chosen, rejected) {
		v.Notes = append(v.Notes, "the answers are without the prompt: with "+prompt.name+" as prompt TRL puts it before both")
		if prompt.name != "prompt" {
			v.Rename = append(v.Rename, Rename{prompt.name, "prompt"})
		}
		v.sameKind(prompt, chosen)
	}
	return v
}
