import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Map;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.generic.GenericRecordBuilder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Emits one audit event. Arguments: brokers, registry URL, topic. */
public final class Emit {
    public static void main(String[] args) throws Exception {
        JsonNode latest = latest(args[1], args[2] + "-value");
        Schema schema = new Schema.Parser().parse(latest.get("schema").asText());
        int schemaId = latest.get("id").asInt();
        GenericRecord event = event(schema);
        String key = event.get("tenant_id") + "/campaign/" + event.get("target_id");
        try (var producer = new KafkaProducer<byte[], byte[]>(properties(args[0]))) {
            var record = new ProducerRecord<>(args[2], key.getBytes(StandardCharsets.UTF_8), message(schemaId, event));
            producer.send(record).get(10, TimeUnit.SECONDS); // throws if Kafka does not acknowledge
        }
        System.out.println(event.get("event_id"));
    }

    private static GenericRecord event(Schema schema) {
        long micros = ChronoUnit.MICROS.between(Instant.EPOCH, Instant.now());
        var actorType = new GenericData.EnumSymbol(schema.getField("actor_type").schema(), "user");
        return new GenericRecordBuilder(schema) // fills in every default
                .set("event_id", UUID.randomUUID().toString())
                .set("record_kind", new GenericData.EnumSymbol(schema.getField("record_kind").schema(), "action"))
                .set("event_code", "campaign.activate")
                .set("tenant_id", "acme")
                .set("occurred_at", micros)
                .set("source_service", "java-example")
                .set("actor_type", actorType)
                .set("actor_id", "u-1")
                .set("target_type", "campaign")
                .set("target_id", "c-42")
                .set("details", Map.of("language", "Java"))
                .build();
    }

    /** Asks for the newest schema of a subject and its id; writing with what the registry has cannot miss it. */
    private static JsonNode latest(String registry, String subject) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(registry + "/subjects/" + subject + "/versions/latest")).build();
        HttpResponse<String> answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new IllegalStateException("registry answered " + answer.statusCode() + ": " + answer.body());
        }
        return new ObjectMapper().readTree(answer.body());
    }

    /** Magic byte 0, the schema id in four bytes, the Avro body. */
    private static byte[] message(int schemaId, GenericRecord event) throws Exception {
        var bytes = new ByteArrayOutputStream();
        new DataOutputStream(bytes).writeByte(0);
        new DataOutputStream(bytes).writeInt(schemaId);
        BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(bytes, null);
        new GenericDatumWriter<GenericRecord>(event.getSchema()).write(event, encoder);
        encoder.flush();
        return bytes.toByteArray();
    }

    private static Properties properties(String brokers) {
        var properties = new Properties();
        properties.put("bootstrap.servers", brokers);
        properties.put("acks", "all");
        properties.put("enable.idempotence", "true");
        properties.put("key.serializer", ByteArraySerializer.class.getName());
        properties.put("value.serializer", ByteArraySerializer.class.getName());
        return properties;
    }
}
