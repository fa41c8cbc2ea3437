// Package object is a bucket of an object store: S3, and everything that
// speaks its protocol (MinIO, Ceph, Google Cloud Storage's interoperability,
// R2, …).
//
// Main types: Bucket, what is asked of a store; S3, the Bucket of a real one;
// Config, how to reach it; Error, which says whether waiting can help and what
// the user can do. objecttest holds the suite that every Bucket passes.
//
// What is assumed of a store: an object is seen whole or not at all, and a
// list or read that begins after a write has ended shows it (S3 promises both
// since 2020). Not assumed: conditional writes, versions, several deletions in
// one request, notices of changes.
//
// Non-goals: it knows no runs and no files (package mirror), creates no bucket,
// sets no lifecycle rules, and keeps no credentials.
package object

import (
	"context"
	"errors"
	"io"
)

// Info is what a list says about an object.
type Info struct {
	Key  string
	Size int64
	// ETag changes with the content; it is compared with itself only.
	ETag string
}

// Bucket is one bucket. Safe for concurrent use. Errors are *Error; each call
// tries a few times by itself before it gives one back.
type Bucket interface {
	// List gives the objects whose keys begin with prefix, in order of their
	// keys. An error of yield ends it and is returned.
	List(ctx context.Context, prefix string, yield func(Info) error) error
	// Get reads an object from a byte offset to its end: an offset at the end
	// gives nothing, one behind it an error. The error of a missing object is
	// ErrNotExist.
	Get(ctx context.Context, key string, offset int64) ([]byte, error)
	// Download writes an object to w.
	Download(ctx context.Context, key string, w io.Writer) error
	// Put writes an object of size bytes, at least one, in place of one that is
	// there.
	Put(ctx context.Context, key string, body io.ReadSeeker, size int64) error
	// Delete removes an object; one that is not there is fine.
	Delete(ctx context.Context, key string) error
}

// ErrNotExist is inside the error of a missing object.
var ErrNotExist = errors.New("there is no such object")

// Kind is what went wrong, as far as somebody can do something about it.
type Kind int

// The kinds.
const (
	Unreachable Kind = iota // no answer, or too busy: waiting can help
	Missing                 // the object
	NoBucket                // the bucket
	Refused                 // the credentials do not allow it, or are unknown
	NoCredentials
	Clock // this machine's clock is wrong
	Other
)

// Error is a request that failed.
type Error struct {
	Kind Kind
	Op   string // "read", "write", "list", "delete"
	URL  string // s3://bucket/key
	At   string // the endpoint
	Err  error
}

func (e *Error) Error() string {
	where := ""
	if e.At != "" {
		where = " at " + e.At
	}
	return "object store" + where + ": " + e.Op + " " + e.URL + ": " + e.Err.Error()
}

// Unwrap gives the cause; ErrNotExist for a missing object.
func (e *Error) Unwrap() error {
	if e.Kind == Missing {
		return ErrNotExist
	}
	return e.Err
}

// Hint says what the user can do.
func (e *Error) Hint() string {
	switch e.Kind {
	case Unreachable:
		return "is the endpoint right (object_store_endpoint, AWS_ENDPOINT_URL_S3), and can it be reached from here?"
	case NoBucket:
		return "create the bucket, or mend its name, object_store_endpoint or object_store_region"
	case Refused:
		return "the credentials need s3:ListBucket on the bucket and s3:GetObject, s3:PutObject and s3:DeleteObject on what is below the prefix"
	case NoCredentials:
		return "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in ~/.aws, or give the machine or service account a role; pods get theirs from object_store_credentials or service_account"
	case Clock:
		return "requests are signed with the time: set the clock of this machine"
	}
	return ""
}

// Transient reports whether err may go away when one waits.
func Transient(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == Unreachable
}

// NotExist reports whether err says that an object is missing.
func NotExist(err error) bool { return errors.Is(err, ErrNotExist) }
