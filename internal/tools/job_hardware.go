package tools

import (
	"context"
	"errors"
	"fmt"

	"ml-intern/internal/job"
	"ml-intern/internal/tool"
)

// offerer is the part of a job.Set that JobHardware uses.
type offerer interface {
	Offers(ctx context.Context) ([]job.Offer, error)
}

// JobHardware lists where jobs can run, and at what price.
func JobHardware(o offerer) tool.Tool {
	return tool.New(spec("job_hardware", tool.Reads), func(ctx context.Context, _ struct{}, _ tool.Call) (tool.Output, error) {
		offers, err := o.Offers(ctx)
		if len(offers) == 0 {
			return tool.Output{}, errors.Join(errors.New("there is no hardware to be had"), err)
		}
		text := job.Table(offers)
		if err != nil {
			text += "\nNot all could be asked: " + err.Error()
		}
		return tool.Output{Text: text, Summary: fmt.Sprintf("%d kinds of hardware", len(offers))}, nil
	})
}
