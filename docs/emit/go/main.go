// Emits one audit event. Arguments: brokers, registry URL, topic.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := run(ctx, os.Args[1], os.Args[2], os.Args[3]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, brokers, registry, topic string) error {
	latest, err := latestSchema(ctx, registry, topic+"-value")
	if err != nil {
		return err
	}
	schema, err := avro.Parse(latest.Schema.Schema)
	if err != nil {
		return err
	}
	event, err := newEvent(schema)
	if err != nil {
		return err
	}
	body, err := avro.Marshal(schema, event)
	if err != nil {
		return err
	}
	// Magic byte 0 and the schema id in four bytes, then the Avro body.
	var header sr.ConfluentHeader
	value, err := header.AppendEncode(nil, latest.ID, nil)
	if err != nil {
		return err
	}
	// Idempotence and acks=all are franz-go's defaults.
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers))
	if err != nil {
		return err
	}
	defer client.Close()
	record := &kgo.Record{Topic: topic, Key: []byte("acme/campaign/c-42"), Value: append(value, body...)}
	if err := client.ProduceSync(ctx, record).FirstErr(); err != nil {
		return err
	}
	fmt.Println(event["event_id"])
	return nil
}

// latestSchema asks for the newest schema of a subject and its id; writing with what the registry has cannot miss it.
func latestSchema(ctx context.Context, registry, subject string) (sr.SubjectSchema, error) {
	client, err := sr.NewClient(sr.URLs(registry))
	if err != nil {
		return sr.SubjectSchema{}, err
	}
	return client.SchemaByVersion(ctx, subject, -1)
}

// newEvent starts from the schema's defaults, because the encoder wants every field.
func newEvent(schema avro.Schema) (map[string]any, error) {
	event := map[string]any{}
	for _, field := range schema.(*avro.RecordSchema).Fields() {
		if field.HasDefault() {
			event[field.Name()] = field.Default()
		}
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	event["event_id"] = id.String()
	event["record_kind"] = "action"
	event["event_code"] = "campaign.activate"
	event["tenant_id"] = "acme"
	event["occurred_at"] = time.Now().UTC()
	event["source_service"] = "go-example"
	event["actor_type"] = "user"
	event["actor_id"] = "u-1"
	event["target_type"] = "campaign"
	event["target_id"] = "c-42"
	event["details"] = map[string]any{"language": "Go"}
	return event, nil
}
