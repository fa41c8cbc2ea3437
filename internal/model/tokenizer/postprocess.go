package tokenizer

import (
	"encoding/json"
	"fmt"
)

type postProcessorJSON struct {
	Type       string            `json:"type"`
	Processors []json.RawMessage `json:"processors"`

	Single []struct {
		SpecialToken *struct {
			ID string `json:"id"`
		}
		Sequence *struct {
			ID string `json:"id"`
		}
	} `json:"single"`
	SpecialTokens map[string]struct {
		IDs []int32 `json:"ids"`
	} `json:"special_tokens"`

	Sep []any `json:"sep"` // RobertaProcessing, BertProcessing: token and id
	Cls []any `json:"cls"`
}

// parsePostProcessor gives the ids that go before and behind a single text.
func parsePostProcessor(raw json.RawMessage) (before, after []int32, err error) {
	if isNull(raw) {
		return nil, nil, nil
	}
	var j postProcessorJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return nil, nil, fmt.Errorf("post_processor: %w", err)
	}
	switch j.Type {
	case "ByteLevel": // moves offsets only
		return nil, nil, nil
	case "Sequence":
		for _, r := range j.Processors {
			b, a, err := parsePostProcessor(r)
			if err != nil {
				return nil, nil, err
			}
			before = append(append([]int32(nil), b...), before...)
			after = append(after, a...)
		}
		return before, after, nil
	case "TemplateProcessing":
		seen := false
		for _, p := range j.Single {
			switch {
			case p.Sequence != nil && seen:
				return nil, nil, fmt.Errorf("post_processor TemplateProcessing: the text stands twice in the template")
			case p.Sequence != nil:
				seen = true
			case p.SpecialToken != nil:
				s, ok := j.SpecialTokens[p.SpecialToken.ID]
				if !ok {
					return nil, nil, fmt.Errorf("post_processor TemplateProcessing: %q is not among special_tokens", p.SpecialToken.ID)
				}
				if seen {
					after = append(after, s.IDs...)
				} else {
					before = append(before, s.IDs...)
				}
			}
		}
		if !seen {
			return nil, nil, fmt.Errorf("post_processor TemplateProcessing: the template does not hold the text")
		}
		return before, after, nil
	case "RobertaProcessing", "BertProcessing":
		cls, okC := pairID(j.Cls)
		sep, okS := pairID(j.Sep)
		if !okC || !okS {
			return nil, nil, fmt.Errorf("post_processor %s: cls or sep is missing", j.Type)
		}
		return []int32{cls}, []int32{sep}, nil
	}
	return nil, nil, fmt.Errorf("post_processor %q is not supported", j.Type)
}

func pairID(p []any) (int32, bool) {
	if len(p) != 2 {
		return 0, false
	}
	f, ok := p[1].(float64)
	return int32(f), ok
}
