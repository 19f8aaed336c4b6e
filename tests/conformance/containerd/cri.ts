/**
 * A client of the Container Runtime Interface: what the kubelet is to containerd. One unary gRPC call per thing asked,
 * over a unix socket. The schema comes out of the server's binary (schema.ts).
 *
 * Protobuf maps arrive and are sent as lists of `{ key, value }` when the schema is loaded this way; 64-bit integers
 * are numbers; enumerations are names.
 */
import { readFileSync } from "node:fs";
import { Client, credentials, type ServiceError } from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer, type MethodDefinition } from "@grpc/proto-loader";
import { RigFailure } from "../node/failure.ts";
import { runtimeSchema } from "./schema.ts";

export type Service = "RuntimeService" | "ImageService";

export interface Cri {
  /**
   * Calls a method of runtime.v1, given at most 60 s.
   * @throws CriError with the server's words.
   */
  call(method: string, request?: object, service?: Service): Promise<object>;
  close(): void;
}

/** The runtime refused. `message` is its own; `code` is gRPC's status (2 unknown, 5 not found, 14 unavailable). */
export class CriError extends Error {
  override name = "CriError";
  readonly code: number;
  constructor(method: string, cause: ServiceError) {
    super(`${method}: ${cause.details}`);
    this.code = cause.code;
  }
}

/** Speaks to the runtime at `socket`, whose binary is at `binary`. Nothing is sent before the first call. */
export function connect(socket: string, binary: string): Cri {
  const schema = loadFileDescriptorSetFromBuffer(runtimeSchema(readFileSync(binary)), {
    keepCase: true,
    defaults: true,
    enums: String,
    longs: Number,
  });
  const methodOf = (service: Service, name: string): MethodDefinition<object, object> => {
    const definition = schema[`runtime.v1.${service}`];
    if (definition !== undefined && !isMessage(definition)) {
      const method = definition[name];
      if (method !== undefined) return method;
    }
    throw new RigFailure(`Cannot call "${name}": the runtime's ${service} has no such method`);
  };
  // A daemon that was just started is tried again at once, not after gRPC's usual second.
  const client = new Client(`unix:${socket}`, credentials.createInsecure(), {
    "grpc.initial_reconnect_backoff_ms": 20,
    "grpc.min_reconnect_backoff_ms": 20,
    "grpc.max_reconnect_backoff_ms": 100,
  });
  return {
    call: (method, request = {}, service = "RuntimeService") => {
      const { path, requestSerialize, responseDeserialize } = methodOf(service, method);
      const { promise, resolve, reject } = Promise.withResolvers<object>();
      const options = { deadline: Date.now() + 60_000 };
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, options, (error, reply) => {
        if (error !== null) reject(new CriError(method, error));
        else resolve(reply ?? {});
      });
      return promise;
    },
    close: () => client.close(),
  };
}

/** A message or enumeration has a `format`; a service is a table of methods. */
function isMessage<T extends object>(definition: T): definition is Extract<T, { format: string }> {
  return "format" in definition && typeof definition.format === "string";
}
