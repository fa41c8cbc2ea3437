// Package model is the seam to language models: requests, responses,
// capabilities, errors, and the registry of model classes that configs name.
//
// A Model is asked one request at a time by many goroutines; batching is the
// model's own business. Errors are of three kinds, told apart by type:
// RetryError (try again), SampleError (this question cannot be answered),
// EndpointError (nothing can be answered). Any other error counts as a fault
// of the endpoint.
package model

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/source"
)

// Message is one turn of a conversation, with the roles of the wire:
// "system", "user", "assistant".
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// Request asks for a continuation. Exactly one of Text and Messages is set.
type Request struct {
	Text     string
	Messages []Message

	MaxTokens   int      // most tokens to generate; 0 leaves it to the model
	MinTokens   int      // fewest, 0 for no bound
	MaxSeqLen   int      // truncate prompt to this many tokens, 0 for the model's own limit
	Stop        []string // generation ends before the first of these
	Temperature *float64 // nil: the model's own setting
	Seed        *int64
	N           int // answers wanted; 0 means 1
	// Batched says that OpenCompass sends the text together with others, where
	// that makes a difference: the legacy Hugging Face classes shorten it by
	// another rule then.
	Batched bool
}

// Response is what came back for a Request.
type Response struct {
	Texts        []string // N answers
	FinishReason string   // "stop"; "length" when an answer was cut at MaxTokens; …; "" when unknown
	Truncated    bool     // the prompt was cut to what the model takes
	PromptTokens int
	OutputTokens int
}

// ScoreRequest asks for the log-probabilities of the tokens of Text.
type ScoreRequest struct {
	Text string
	// MaxSeqLen truncates to that many tokens, 0 for the model's own limit.
	MaxSeqLen int
	// Continuation, when not empty, is the tail of interest; the model also
	// reports how many of the tokens of Text belong to what stands before it
	// when that is tokenised alone (ContextTokens).
	Continuation string
	// PadTo, when it is more than the number of tokens, also asks for
	// PadLogProb, as if the text stood in a batch padded on the left to that
	// many tokens. OpenCompass's HuggingFaceBaseModel counts that term (see
	// ScoreHFBase), so its perplexity depends on the longest text beside it.
	PadTo int
	// FillTo, when it is more than the number of tokens, has pad tokens put
	// beside the text, at the side where the model's tokenizer pads, that are
	// read and scored like any others: TokenIDs and LogProbs hold them. It is
	// what HuggingFaceCausalLM's log-likelihood does in a batch.
	FillTo int
}

// ScoreResponse gives, for the tokens of the text after truncation,
// LogProbs[i] = ln p(token i+1 | tokens 0..i); so len(LogProbs) is the number
// of tokens minus one. TokenIDs has all tokens, special ones included.
type ScoreResponse struct {
	TokenIDs      []int32
	LogProbs      []float64
	ContextTokens int  // tokens of the text without Continuation, when asked for
	Truncated     bool // text was longer than allowed

	// PadID is the tokenizer's pad token, where HasPad: OpenCompass leaves it
	// out of a perplexity.
	PadID  int32
	HasPad bool

	// PadLogProb is ln p(first token | padding before it), when the request
	// had a PadTo that takes padding and the model can tell (Padded).
	PadLogProb float64
	Padded     bool
	Pads       int // pad tokens before the text that PadTo asked for
}

// Model generates text. Safe for concurrent use.
type Model interface {
	Generate(ctx context.Context, r Request) (Response, error)
	// Limits says how the model wants to be asked; constant after opening.
	Limits() Limits
	Close() error
}

// Scorer is a Model that gives log-probabilities of a given text.
type Scorer interface {
	Score(ctx context.Context, r ScoreRequest) (ScoreResponse, error)
}

// Tokenizer is a Model that can count tokens, special ones included, as its
// inferencer would send the text.
type Tokenizer interface {
	CountTokens(text string) (int, error)
}

// TokenTexts is a Tokenizer that tells the tokens themselves, special ones
// included, as its vocabulary spells them.
type TokenTexts interface {
	TokenTexts(text string) ([]string, error)
}

// Prober is a Model that can prove before the run that it does what the run
// needs, and says why not.
type Prober interface {
	Probe(ctx context.Context, need Need) error
}

// Identifier is a Model that knows what it really is (a hash of weights and
// settings that change answers). It becomes part of each record's identity.
type Identifier interface {
	Identity() Identity
}

// Identity of a model, as far as it can be known.
type Identity struct {
	Name        string `json:"name"`                   // path or endpoint model name
	Hash        string `json:"hash,omitempty"`         // content hash of weights and tokenizer
	ComputeType string `json:"compute_type,omitempty"` // "float32", "float16", …
	Backend     string `json:"backend,omitempty"`      // "engine", "openai", …
}

// Need is what a run will ask of a model.
type Need struct {
	Score    bool // log-probabilities of given text
	Stop     []string
	MaxSeq   int
	Generate bool
}

// Limits says how many requests a model wants in flight.
type Limits struct {
	InFlight int // 0 means 1
	// SharedPrefixes says that requests whose texts share a prefix are
	// cheaper when they are in flight together.
	SharedPrefixes bool
	MaxSeqLen      int // context length in tokens, 0 when unknown
}

// Stats of the work that a model did, for reports; see Counter.
type Stats struct {
	Requests       int64
	TokensComputed int64 // tokens that went through the network
	TokensSaved    int64 // tokens whose result was taken from a shared prefix
	TokensOut      int64 // tokens generated
}

// Counter is a Model that counts its work.
type Counter interface{ Stats() Stats }

// RetryError may pass if the same request is sent again.
type RetryError struct {
	Err   error
	After time.Duration // what the server asked for, 0 when it did not
}

func (e *RetryError) Error() string { return e.Err.Error() }
func (e *RetryError) Unwrap() error { return e.Err }

// SampleError is final for one request only: context too long, content filter.
type SampleError struct {
	Reason string // short, one of a few words: "context_length", "content_filter", …
	Err    error
}

func (e *SampleError) Error() string { return fmt.Sprintf("%s: %v", e.Reason, e.Err) }
func (e *SampleError) Unwrap() error { return e.Err }

// EndpointError is final for the whole model: bad key, no such model, refused
// capability, broken weights.
type EndpointError struct {
	Err  error
	Hint string
}

func (e *EndpointError) Error() string { return e.Err.Error() }
func (e *EndpointError) Unwrap() error { return e.Err }

// Env is what opening a model may use of the outside world.
type Env struct {
	Log     *slog.Logger
	Getenv  func(string) string
	Offline bool   // no network unless the config names an endpoint on it
	Threads int    // CPU threads to compute with; 0 means all
	HomeDir string // where caches live when no variable says otherwise
}

// Opener makes a model from its config dict (the whole model dict of the
// config: type, path, abbr, max_seq_len, model_kwargs, …).
type Opener func(ctx context.Context, cfg *py.Dict, env Env) (Model, error)

// Class is a model class that configs can name.
type Class struct {
	Open Opener
	// Check validates the config without opening anything (no I/O); it
	// returns source diagnostics. May be nil.
	Check func(cfg *py.Dict) error
	// Notes are warnings about a config that is accepted: what it asks for and
	// does not get. May be nil.
	Notes func(cfg *py.Dict) []*source.Diagnostic
	// Identify says which model a config means without opening it, as far as
	// that is cheap: resuming a finished run loads no weights. May be nil.
	Identify func(ctx context.Context, cfg *py.Dict, env Env) (Identity, error)
	// Present finds what is missing of a model on this machine before it is
	// opened: a folder, weights, a tokenizer. What would be downloaded is not
	// missing. Errors are diagnostics. May be nil.
	Present func(ctx context.Context, cfg *py.Dict, env Env) error
	// Tokenizer opens the model's tokenizer alone, without weights. May be nil.
	Tokenizer func(ctx context.Context, cfg *py.Dict, env Env) (Tokenizer, error)
	// Chat says that prompts become message lists (OpenCompass's API template
	// parser), not one string.
	Chat bool
	// IgnoresMetaTemplate: HuggingFaceBaseModel does.
	IgnoresMetaTemplate bool
	// LocalChat lays prompts out as OpenCompass's local chat classes do: a
	// meta template of their own when the config has none, turns without text
	// left out, and neighbours of one role joined by a newline.
	LocalChat bool
	// Scoring says how the class makes a number of the log-probabilities.
	Scoring Scoring
	// Local models hold weights in this process: one worker should be given
	// all tasks of such a model.
	Local bool
	// Spread models mind neither: any number of workers may ask one.
	Spread bool
}

// Scoring is how a model class turns log-probabilities into what it calls
// perplexity (a mean negative log-likelihood, no exponential) and
// log-likelihood. L is the number of tokens of the text, special ones included.
type Scoring int

const (
	// ScoreHF is HuggingFaceCausalLM: perplexity divides by L, not L−1, and
	// leaves tokens that equal the pad token out of sum and count; the
	// log-likelihood of a continuation is the sum over its tokens.
	ScoreHF Scoring = iota
	// ScoreHFBase is HuggingFaceBaseModel: perplexity as ScoreHF; its
	// log-likelihood leaves out as many tokens at the start of the text as the
	// continuation has, and is the mean of the rest.
	ScoreHFBase
	// ScoreVLLM divides by L−1, and a log-likelihood is the sum over the last
	// tokens, as many as the continuation has, by the same divisor.
	ScoreVLLM
)

// Perplexer is a Model that makes perplexities and log-likelihoods itself and
// gives no log-probabilities. It takes precedence over Scorer.
type Perplexer interface {
	Perplexity(ctx context.Context, text string) (float64, error)
	LogLikelihood(ctx context.Context, text, continuation string) (float64, error)
}

// Classes are the model classes by name.
var Classes = registry.New[Class]("model")
