package tools

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"ml-intern/internal/sandbox"
	"ml-intern/internal/tool"
)

// Sandboxes are machines elsewhere that a session has for itself.
type Sandboxes interface {
	// Price is what hardware costs, in dollars an hour.
	Price(hardware string) (usdPerHour float64, err error)
	Create(ctx context.Context, order SandboxOrder, log func(line string)) (NewSandbox, error)
	Open(ctx context.Context, name string) (Elsewhere, error)

	// Delete ends one, and says what it cost.
	Delete(ctx context.Context, name string) (tool.Charge, error)
}

// Elsewhere is a sandbox on another machine.
type Elsewhere interface {
	sandbox.Sandbox
	Confinement() string
}

// A SandboxOrder is a machine to start.
type SandboxOrder struct {
	Label      string // the ID of the call: one machine for each
	Hardware   string
	USDPerHour float64
	Limit      time.Duration // for so long it may be used
	Sleep      time.Duration // without use, until it costs nothing
}

// Worst is what the machine can cost, in dollars.
func (o SandboxOrder) Worst() float64 { return o.USDPerHour * (o.Limit + o.Sleep).Hours() }

// freeSleep is when the Hub puts free hardware to sleep, whatever is asked for.
const freeSleep = 48 * time.Hour

func (o *SandboxOrder) price(all Sandboxes) (err error) {
	if o.USDPerHour, err = all.Price(o.Hardware); err == nil && o.USDPerHour == 0 {
		o.Sleep = freeSleep
	}
	return err
}

// A NewSandbox is a machine that answers.
type NewSandbox struct {
	Name string
	Dir  string // its workspace
}

// freeHardware is what a sandbox is on that names none.
const freeHardware = "cpu-basic"

type sandboxInput struct {
	Hardware string  `json:"hardware,omitempty" jsonschema:"cpu-basic (free), t4-small …"`
	Hours    float64 `json:"hours,omitempty"`
	SleepMin float64 `json:"sleep_min,omitempty" jsonschema:"idle; default 15"`
}

const (
	mostHours    = 48
	mostSleepMin = 24 * 60
)

func (in sandboxInput) order(label string) (SandboxOrder, error) {
	hours, sleep := in.Hours, in.SleepMin
	if hours == 0 {
		hours = 1
	}
	if sleep == 0 {
		sleep = 15
	}
	if hours < 0 || hours > mostHours || sleep < 5 || sleep > mostSleepMin {
		return SandboxOrder{}, fmt.Errorf("hours is %d at most, and sleep_min from 5 to %d", mostHours, mostSleepMin)
	}
	return SandboxOrder{
		Label: label, Hardware: cmp.Or(in.Hardware, freeHardware),
		Limit: time.Duration(hours * float64(time.Hour)), Sleep: time.Duration(sleep * float64(time.Minute)),
	}, nil
}

// SandboxCreate starts a machine for the session. The call's ID names it, so
// that one whose answer was lost is found again.
func SandboxCreate(all Sandboxes) tool.Tool {
	s := spec("sandbox_create", tool.Spends)
	s.Resumable = true
	s.Impact = impact(tool.Executes, func(in sandboxInput, i *tool.Impact) {
		o, err := in.order("")
		if err != nil {
			return
		}
		i.Outside = fmt.Sprintf("it starts a private Space of the account on %s", o.Hardware)
		if err = o.price(all); err != nil {
			i.Effect, i.Outside = tool.Spends, i.Outside+", at a price that is not known: "+err.Error()
			return
		}
		if o.Worst() > 0 {
			i.Effect, i.CostUSD = tool.Spends, o.Worst()
		}
		i.Object = fmt.Sprintf("%s for %s, $%.2f at most", o.Hardware, o.Limit, o.Worst())
	})
	return tool.New(s, func(ctx context.Context, in sandboxInput, call tool.Call) (tool.Output, error) {
		o, err := in.order(call.ID)
		if err != nil {
			return tool.Output{}, err
		}
		if err := o.price(all); err != nil {
			return tool.Output{}, err
		}
		if o.Worst() > call.WorstUSD+1e-9 && !call.Again { // one that may be there is looked for at any price
			return tool.Output{}, fmt.Errorf("it may cost $%.2f, and $%.2f are set aside for it; create it again", o.Worst(), call.WorstUSD)
		}
		made, err := all.Create(ctx, o, call.Log)
		if err != nil {
			return notCreated(o, made, err)
		}
		return created(o, made), nil
	})
}

// notCreated tells of a sandbox that does not answer. If it may still be there,
// it may still cost something.
func notCreated(o SandboxOrder, made NewSandbox, err error) (tool.Output, error) {
	if made.Name == "" || o.Worst() == 0 {
		return tool.Output{}, err
	}
	return tool.Output{
		Text: err.Error(), IsError: true, Summary: "the sandbox could not be created",
		Charges: []tool.Charge{{Label: o.Label, Job: made.Name, USD: o.Worst()}},
	}, nil
}

func created(o SandboxOrder, made NewSandbox) tool.Output {
	text := fmt.Sprintf("sandbox %s is ready: %s, workspace %s, for %s; it sleeps after %s without use.", made.Name, o.Hardware, made.Dir, o.Limit, o.Sleep)
	out := tool.Output{
		Text: text, Summary: fmt.Sprintf("sandbox %s on %s", made.Name, o.Hardware),
		Facts: []tool.Fact{{Kind: "Sandboxes", Name: made.Name, Text: text}},
	}
	if o.Worst() > 0 {
		out.Charges = []tool.Charge{{Label: o.Label, Job: made.Name, USD: o.Worst()}}
	}
	return out
}

// SandboxDelete ends a machine of the session.
func SandboxDelete(all Sandboxes) tool.Tool {
	type input struct {
		Sandbox string `json:"sandbox"`
	}
	s := spec("sandbox_delete", tool.Executes)
	s.Resumable = true // one that is gone stays so
	return tool.New(s, func(ctx context.Context, in input, _ tool.Call) (tool.Output, error) {
		charge, err := all.Delete(ctx, in.Sandbox)
		if err != nil {
			return tool.Output{}, err
		}
		text := fmt.Sprintf("sandbox %s is deleted", in.Sandbox)
		out := tool.Output{Text: text, Summary: text, Facts: []tool.Fact{{Kind: "Sandboxes", Name: in.Sandbox, Text: text}}}
		if charge.USD > 0 {
			out.Text += fmt.Sprintf("; it cost $%.2f at most", charge.USD)
		}
		if charge.Label != "" {
			out.Charges = []tool.Charge{charge}
		}
		return out, nil
	})
}

// sandboxProperty is what the schema of a tool has more that can work elsewhere.
const sandboxProperty = `"properties":{"sandbox":{"type":"string"},`

// InSandboxes is a tool of this machine that works in a sandbox as well, if a
// call names one. There it is the tool that make returns.
func InSandboxes(here tool.Tool, all Sandboxes, make func(Elsewhere) tool.Tool) tool.Tool {
	s := here.Spec()
	schema := bytes.Replace(s.Schema, []byte(`"properties":{`), []byte(sandboxProperty), 1)
	if len(schema) == len(s.Schema) {
		panic(fmt.Sprintf("tool %s has no properties", s.Name)) // a mistake in the program
	}
	s.Schema = schema
	s.Impact = func(args string) tool.Impact {
		if name, _ := takeSandbox(args); name != "" {
			return tool.Impact{Effect: here.Spec().Effect, Object: "in " + name} // a machine of its own, with nothing of the person's
		}
		if judge := here.Spec().Impact; judge != nil {
			return judge(args)
		}
		return tool.Impact{Effect: here.Spec().Effect}
	}
	s.ResumableCall = func(args string) bool { // a command is found by its ID, and what was written is written again
		name, _ := takeSandbox(args)
		return name != "" && s.Name != "edit"
	}
	return elsewhere{s, here, all, make}
}

type elsewhere struct {
	spec tool.Spec
	here tool.Tool
	all  Sandboxes
	make func(Elsewhere) tool.Tool
}

// Spec implements tool.Tool.
func (e elsewhere) Spec() tool.Spec { return e.spec }

// Run implements tool.Tool.
func (e elsewhere) Run(ctx context.Context, call tool.Call) (tool.Output, error) {
	name, rest := takeSandbox(call.Args)
	call.Args = rest
	if name == "" {
		return e.here.Run(ctx, call)
	}
	box, err := e.all.Open(ctx, name)
	if err != nil {
		return tool.Output{}, fmt.Errorf("open sandbox %s: %w", name, err)
	}
	out, err := e.make(box).Run(ctx, call)
	if err != nil {
		return out, fmt.Errorf("in sandbox %s: %w", name, err)
	}
	for i, a := range out.Artifacts {
		out.Artifacts[i].Path = name + ":" + filepath.ToSlash(a.Path)
	}
	for i, f := range out.Facts {
		out.Facts[i].Name = name + ":" + f.Name
	}
	return out, nil
}

// takeSandbox is the sandbox that a call names, and the other arguments.
// Arguments that are no object are left to the tool.
func takeSandbox(args string) (name, rest string) {
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(args), &fields) != nil {
		return "", args
	}
	value, named := fields["sandbox"]
	if !named || json.Unmarshal(value, &name) != nil {
		return "", args
	}
	delete(fields, "sandbox")
	text, err := json.Marshal(fields)
	if err != nil {
		return "", args
	}
	return name, string(text)
}
