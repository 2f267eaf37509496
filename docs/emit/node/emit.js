// Emits one audit event. Arguments: brokers, registry URL, topic.
import { randomUUID } from "node:crypto";
import avro from "avsc";
import { Kafka, Partitioners, logLevel } from "kafkajs";

const [brokers, registry, topic] = process.argv.slice(2);

// Asks for the newest schema of a subject and its id; writing with what the registry has cannot miss it.
async function latest(subject) {
  const answer = await fetch(`${registry}/subjects/${subject}/versions/latest`);
  if (!answer.ok) throw new Error(`registry answered ${answer.status}: ${await answer.text()}`);
  return answer.json();
}

// Magic byte 0, the schema id in four bytes, the Avro body.
function message(id, body) {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(id, 1);
  return Buffer.concat([header, body]);
}

const { id, schema } = await latest(`${topic}-value`);
const type = avro.Type.forSchema(JSON.parse(schema));
const event = {
  event_id: randomUUID(),
  record_kind: "action",
  event_code: "campaign.activate",
  tenant_id: "acme",
  occurred_at: Date.now() * 1000, // microseconds; below 2^53 until the year 2255
  source_service: "node-example",
  actor_type: "user",
  actor_id: "u-1",
  target_type: "campaign",
  target_id: "c-42",
  details: { language: "Node" },
};
const value = message(id, type.toBuffer(event)); // defaults are filled in

const kafka = new Kafka({ brokers: brokers.split(","), logLevel: logLevel.WARN });
// The partitioner of Java's clients, so that a key has one partition whatever language its service is written in.
const producer = kafka.producer({ idempotent: true, createPartitioner: Partitioners.DefaultPartitioner });
await producer.connect();
try {
  await producer.send({ topic, acks: -1, messages: [{ key: "acme/campaign/c-42", value }] }); // rejects if not acknowledged
  console.log(event.event_id);
} finally {
  await producer.disconnect();
}
